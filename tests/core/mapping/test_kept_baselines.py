from dataclasses import replace

import pytest
import torch

from latentmap.codes import Space, pair
from latentmap.errors import MapError
from latentmap.mapping import LinearMap, fit
from latentmap.mapping.kept_baselines import KeptBaseline
from latentmap.mapping.patches import Patches
from tests.core.mapping.drawing import codes_of
from tests.core.mapping.grids import grid_pairs, random_grids


def numbers(*shape, dtype=torch.float64):
    return torch.arange(torch.Size(shape).numel(), dtype=dtype).reshape(shape) / 7


def a_map():
    x = torch.randn(60, 3, generator=torch.manual_seed(0))
    return fit(pair(codes_of(x), codes_of(x[:, :2] * 2, "b")))


def kept(kind="pca", k=4, **given):
    space = Space("latent", k, kind, "f" * 8)
    return KeptBaseline(kind, space, numbers(k, 2), numbers(2), **given)


def components(k=4, pixels=9):
    return {
        "mean": numbers(pixels, dtype=torch.float32),
        "components": numbers(k, pixels, dtype=torch.float32),
    }


def through_a_file(folder, *baselines):
    replace(a_map(), baselines=baselines).save(folder / "map.safetensors")
    return LinearMap.load(folder / "map.safetensors").baselines


def test_baselines_come_back_from_the_file_of_their_map(tmp_path):
    given = (kept("pixels"), kept(**components()), kept("untrained", 3))
    found = through_a_file(tmp_path, *given)
    assert [one.kind for one in found] == ["pixels", "pca", "untrained"]
    for one, other in zip(given, found, strict=True):
        assert one.space == other.space
        assert one.patches == other.patches
        for name in ("weight", "bias", "mean", "components"):
            first, second = getattr(one, name), getattr(other, name)
            assert (first is None) == (second is None)
            assert first is None or torch.equal(first, second)


def through_a_file_of_patches(folder, baseline):
    linear_map = fit(grid_pairs(random_grids(20, (2, 3, 3)), random_grids(20, (1, 3, 3), seed=1)))
    replace(linear_map, baselines=(baseline,)).save(folder / "map.safetensors")
    return LinearMap.load(folder / "map.safetensors").baselines


def of_patches(target):
    patches = Patches(3, (2, 3, 3), target)
    space = Space("latent", 18, "pixels", "f" * 8, (2, 3, 3))
    return KeptBaseline("pixels", space, numbers(patches.p, 1), numbers(1), patches)


def test_patches_of_a_baseline_come_back(tmp_path):
    given = of_patches((1, 3, 3))
    (found,) = through_a_file_of_patches(tmp_path, given)
    assert found.patches == given.patches


def test_patches_of_other_grids_are_refused(tmp_path):
    with pytest.raises(MapError, match="patches of a baseline must be those of its spaces"):
        through_a_file_of_patches(tmp_path, of_patches((1, 6, 6)))
    with pytest.raises(MapError, match="patches of a baseline must be those of its spaces"):
        through_a_file(tmp_path, of_patches((1, 3, 3)))


def test_a_flat_baseline_of_a_map_of_patches_is_for_all_cells(tmp_path):
    with pytest.raises(MapError, match=r"must be a matrix, here \(4, 9\), with a bias"):
        through_a_file_of_patches(tmp_path, kept())


def test_a_kind_of_baseline_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(MapError, match="every kind of baseline must be there once"):
        through_a_file(tmp_path, kept("pixels"), kept("pixels"))


def test_a_file_without_baselines_has_none(tmp_path):
    """As those are that were written before there were any."""
    assert through_a_file(tmp_path) == ()
    assert b"baseline" not in (tmp_path / "map.safetensors").read_bytes()


def test_components_of_large_images_are_too_large():
    small = torch.empty(1, 1 << 24, device="meta")
    assert kept(components=small).is_small
    assert not kept(components=torch.empty(1, (1 << 24) + 1, device="meta")).is_small
    assert kept().is_small


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bias": numbers(2, 1)}, "must be a matrix"),
        ({"bias": numbers()}, "must be a matrix"),
        ({"bias": numbers(3), "weight": numbers(4, 3)}, "must be a matrix"),
        ({"weight": numbers(4, 2).float()}, "must be float64 and finite"),
        ({"mean": numbers(9).float()}, "have a mean"),
        ({**components(), "components": numbers(3, 9).float()}, "of as many rows"),
        ({**components(), "mean": numbers(9)}, "must be float32 and finite"),
        ({**components(), "mean": torch.full((9,), torch.nan)}, "must be float32 and finite"),
    ],
)
def test_baselines_that_do_not_fit_together_are_refused(tmp_path, wrong, said):
    with pytest.raises(MapError, match=said):
        through_a_file(tmp_path, replace(kept(), **wrong))
