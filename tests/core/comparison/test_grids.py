"""Comparisons of spatial codes, which are large: patches and roots in place of products."""

import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space
from latentmap.comparison.models import compare_models
from latentmap.comparison.projections import Rotation, canonical_directions
from latentmap.comparison.spaces import is_thin, joint_moments, maps_between
from latentmap.errors import MapError
from latentmap.images import open_images
from latentmap.mapping import fit, moment_sums
from latentmap.mapping.gathering import moments_of_spaces
from latentmap.model.testing import LinearModel
from tests.core.grids import Grid
from tests.core.mapping.grids import grid_pairs, random_grids

TURNED = torch.tensor([[0.5, 0.2, 0, 0], [0, 0.6, 0.1, 0], [0, 0, 0.5, 0.3], [0.1, 0, 0, 0.7]])


def flat_spaces(n, *dims, seed=0):
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(n, 3, generator=generator)
    ids = [f"{i:04}" for i in range(n)]
    return [
        Codes.from_array(
            ids,
            common @ torch.randn(3, dim, generator=generator)
            + 0.1 * torch.randn(n, dim, generator=generator)
            + 1,
            space=Space("z", dim, name, name * 8),
        )
        for dim, name in zip(dims, "abc", strict=False)
    ]


@pytest.mark.parametrize("n", [12, 60])
def test_roots_say_what_products_say(n):
    spaces = flat_spaces(n, 20, 5)
    thin, dense = joint_moments(spaces, thin=True), moments_of_spaces(spaces)
    for i, j in ((0, 1), (1, 0)):
        one, other = thin.between(i, j), dense.between(i, j)
        for name in ("mean_x", "mean_y", "xx", "xy", "yy"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name))
        weight = torch.randn(one.q, 2, generator=torch.manual_seed(0)).double()
        torch.testing.assert_close(one.spread_y(weight), other.spread_y(weight))
        if n > 20:  # Of fewer all correlate fully, in any directions.
            ours, theirs = canonical_directions(one), canonical_directions(other)
            torch.testing.assert_close(ours.left_weights, theirs.left_weights)
        torch.testing.assert_close(
            Rotation.of(one).apply(one.root_x), Rotation.of(other).apply(one.root_x)
        )


def test_large_spaces_of_few_images_are_kept_as_roots_and_else_refused(monkeypatch):
    large = flat_spaces(3, 5000, 4000)
    assert is_thin(3, (5000, 4000))
    assert not is_thin(3, (20, 5))
    assert not is_thin(5000, (5000, 4000))
    monkeypatch.setattr(moment_sums, "available_memory", lambda: 2**30)
    with pytest.raises(MapError, match=r"the products of 9,000 variables of codes take"):
        joint_moments(large, thin=False)
    joint_moments(large)
    broken = large[0].vectors.clone()
    broken[1, 7] = torch.nan
    bad = Codes.from_array(large[0].ids, broken, space=large[0].space)
    with pytest.raises(MapError, match="the code of 0001 in"):
        joint_moments([bad, large[1]])


def test_maps_between_grids_are_those_of_a_fit():
    pairs = grid_pairs(random_grids(30, (3, 4, 4)), random_grids(30, (2, 8, 8), seed=1))
    spaces = [pairs.source, pairs.target]
    maps = maps_between(joint_moments(spaces), spaces, references=["a", "b"], seed=4)
    alone = fit(pairs, seed=4)
    assert maps[0, 1].patches == alone.patches
    assert alone.patches is not None
    assert torch.equal(maps[0, 1].weight, alone.weight)
    assert (maps[1, 0].source_reference, maps[1, 0].target_reference) == ("b", "a")


def test_grids_and_vectors_are_compared(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    images = open_images(tmp_path / "images.npy")
    models = [Grid(name="a"), Grid(name="b", weight=TURNED), LinearModel(5, (1, 8, 8))]
    found = compare_models(models, images, tmp_path / "cache")
    assert found.pairs[0, 1].figures.r2.value == pytest.approx(1, abs=1e-4)
    assert found.pairs[1, 0].figures.r2.value == pytest.approx(1, abs=1e-4)
    assert found.pairs[0, 2].figures.r2.value < 1
