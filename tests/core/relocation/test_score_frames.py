"""Scores, methods and comparisons as frames: the figures with their intervals, and what bounds
them."""

import numpy as np
import pytest
import torch

from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.relocation import fit_models, fit_training, score_models, training_pairs
from latentmap.relocation.baselines import fit_baseline
from latentmap.relocation.learning import learning_curve
from latentmap.relocation.several_maps import compare_methods
from latentmap.relocation.thumbnails import thumbnail_between


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    source, target = LinearModel(seed=1, name="a"), LinearModel(seed=2, name="b")
    pixels = torch.rand(200, 4, 4, 1, generator=torch.manual_seed(0))
    np.save(folder / "images.npy", (pixels * 255).round().to(torch.uint8).numpy())
    return source, target, open_images(folder / "images.npy"), folder / "cache"


def test_scores_are_a_row_a_figure_with_floor_and_baseline(scene):
    source, target, images, cache = scene
    training = training_pairs(source, target, images, cache)
    thumbnail = thumbnail_between(source, target)
    beside = fit_baseline(training, "pixels", thumbnail, cache)
    (scores,) = score_models(
        [fit_training(training)],
        *(source, target, images.split("test"), cache),
        baselines=[beside],
    )
    frame = scores.to_frame()
    assert list(frame.columns) == ["codes", "figure", "value", "low", "high", "floor", "baseline"]
    assert frame.codes.unique().tolist() == ["this map", f"pixels ({thumbnail.name})"]
    mine = frame[frame.codes == "this map"].set_index("figure")
    assert mine.loc["r2", ["value", "low", "high"]].tolist() == [*scores.r2]
    assert mine.loc["m_mse", "floor"] == scores.floor_mse.value
    assert mine.loc["m_mse", "baseline"] == scores.baseline_mse.value
    assert np.isnan(mine.loc["r2", "floor"])
    # Flat codes have none, and undefined figures no row.
    assert "r2_cells" not in mine.index


def test_methods_have_their_intervals_in_a_frame_though_a_terminal_has_no_room(scene):
    source, target, images, cache = scene
    training = training_pairs(source, target, images, cache)
    found = compare_methods(training, images.split("test"), cache)
    frame = found.to_frame().set_index(["method", "figure"])
    for one in found.results:
        row = frame.loc[(one.linear_map.method, "R2")]
        assert row[["value", "low", "high"]].tolist() == [*one.scores.r2]


def test_a_curve_is_known_by_its_numbers_of_pairs(scene):
    source, target, images, cache = scene
    training = training_pairs(source, target, images, cache)
    curve = learning_curve(training, images.split("test"), cache, sizes=[20, 50], draws=2)
    frame = curve.to_frame()
    assert sorted(set(frame.pairs)) == [20, 50]
    row = frame.set_index(["pairs", "figure"]).loc[(50, "r2")]
    assert row[["value", "low", "high"]].tolist() == [*curve.points[1].figures["r2"]]
    assert row[["draws_low", "draws_high"]].tolist() == [*curve.points[1].over_draws["r2"]]


def test_a_map_is_a_frame_of_what_it_is(scene):
    source, target, images, cache = scene
    frame = fit_models(source, target, images, cache).to_frame()
    assert {"figure", "value", "note"} <= {*frame.columns}
