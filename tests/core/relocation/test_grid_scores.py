"""R2 of grids about the mean of each channel, against its definition."""

import math

import numpy as np
import pytest

from latentmap.cache import Coder
from latentmap.images import open_images
from latentmap.mapping import fit
from latentmap.relocation import evaluate
from latentmap.relocation.tables import scores_table
from tests.core.relocation.grid_models import Grid


class Hidden(Grid):
    can_decode = False
    _decode = Grid._decode


def scene(folder, kinds, n=30):
    """Two grids of pictures that are brighter on one side, pairs to fit on and others."""
    generator = np.random.default_rng(0)
    pixels = generator.uniform(0, 100, (n, 8, 8)) + np.linspace(0, 150, 8)
    np.save(folder / "images.npy", pixels.astype(np.uint8))
    images = open_images(folder / "images.npy")
    source, target = kinds[0](name="a"), kinds[1](block=4, seed=2, name="b")
    pairs = Coder.of(folder / "cache").pairs(source, target, images)
    return source, target, images, pairs


@pytest.mark.parametrize("kinds", [(Grid, Grid), (Hidden, Hidden)])
def test_r2_of_cells_is_about_the_mean_of_each_channel(tmp_path, kinds):
    source, target, images, pairs = scene(tmp_path, kinds)
    linear_map = fit(pairs.take(np.arange(20)), patch=1)
    test = pairs.take(np.arange(20, 30))
    (scores,) = evaluate([linear_map], test, source, target, images.subset(range(20, 30)))
    y = test.target.vectors.double().unflatten(1, target.latent_shape)
    mapped = linear_map.apply(test.source.vectors).double().unflatten(1, target.latent_shape)
    about = (y - y.mean((0, 2, 3), keepdim=True)).square().sum()
    expected = float(1 - (y - mapped).square().sum() / about)
    assert scores.r2_cells.value == pytest.approx(expected, rel=1e-6)
    assert scores.r2_cells.low < expected < scores.r2_cells.high
    # What depends on the position alone is there to be predicted, too.
    assert scores.r2_cells.value > scores.r2.value
    assert scores.to_json()["r2_cells"] == scores.r2_cells.value
    assert "R2 of cells" in str(scores_table(scores))


def test_vectors_have_none(tmp_path):
    from latentmap.model.testing import LinearModel

    images = open_images("digits", limit=20)
    models = [LinearModel(3, (1, 8, 8), seed=seed) for seed in (0, 1)]
    pairs = Coder.of(tmp_path).pairs(*models, images)
    (scores,) = evaluate([fit(pairs)], pairs, *models, images)
    assert math.isnan(scores.r2_cells.value)
    assert scores.to_json()["r2_cells"] is None
    assert "R2 of cells" not in str(scores_table(scores))
