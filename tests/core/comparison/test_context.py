"""What stands beside the maps of a comparison: baselines, and a ceiling."""

import math

import numpy as np
import pytest
import torch

from latentmap.comparison import CompareOptions, compare_models
from latentmap.encoders.reference_models import PixelsModel
from latentmap.images import open_images
from latentmap.model.testing import LinearModel

FIGURES = ("l_mse", "r2", "m_mse", "floor_mse", "baseline_mse", "efficiency")


def compared(folder, models, *, baselines=None, **options):
    pixels = torch.rand(300, 8, 8, 1, generator=torch.manual_seed(0))
    pixels = (pixels * 0.3 + pixels.mean((1, 2), keepdim=True) * 0.7).clamp(0, 1)
    np.save(folder / "images.npy", (pixels * 255).round().to(torch.uint8).numpy())
    chosen = CompareOptions(permutations=19, **options)
    images = open_images(folder / "images.npy")
    return compare_models(models, images, folder / "cache", options=chosen, baselines=baselines)


def several():
    return [
        LinearModel(size, (1, 8, 8), seed=seed, span_seed=seed, name=name)
        for seed, size, name in ((1, 5, "a"), (2, 6, "b"), (3, 17, "c"))
    ]


def test_a_thumbnail_does_what_it_would_do_as_a_model(tmp_path):
    """``pixels:2x2``, which stands beside models of 5 and of 6 variables."""
    models = several()
    pixels = PixelsModel(models[0].view, (2, 2), name="pixels:2x2")
    result = compared(tmp_path, [*models, pixels])
    for source, target in ((0, 1), (1, 0), (0, 2), (1, 2)):
        (beside,) = result.pairs[source, target].context.baselines
        assert (beside.model, beside.numbers) == ("pixels:2x2", 4)
        for name in FIGURES:
            found, expected = (
                getattr(one.figures, name) for one in (beside, result.pairs[3, target])
            )
            assert found == pytest.approx(expected, rel=1e-5, nan_ok=True), name
    assert result.pairs[2, 0].context.baselines[0].model == "pixels:4x4"
    (record,) = result.to_json()["pairs"][0]["baselines"]
    assert (record["model"], record["r_mse"]) == ("pixels:2x2", None)


def test_nothing_else_changes_by_what_stands_beside(tmp_path):
    with_them, without = (
        compared(tmp_path, several(), **options)
        for options in ({"ceiling": True}, {"baselines": [{}, {}, {}]})
    )
    for place, pair in with_them.pairs.items():
        other = without.pairs[place]
        assert pair.context.baselines
        assert pair.context.ceiling is not None
        assert not other.context.baselines
        assert other.context.ceiling is None
        assert pair.cycle == pytest.approx(other.cycle, rel=1e-7)
        for name in ("r_mse", *FIGURES):
            found, expected = (getattr(one.figures, name) for one in (pair, other))
            assert found == pytest.approx(expected, rel=1e-7), name
    found, expected = (one.to_json()["similarities"] for one in (with_them, without))
    assert found.keys() == expected.keys()
    for name, index in found.items():
        assert index["value"] == pytest.approx(np.array(expected[name]["value"]), rel=1e-7)


def test_the_table_has_both_figures_where_there_are_some(tmp_path, monkeypatch):
    models = several()
    text = str(compared(tmp_path, models))
    assert "R2 of pixels" in text
    assert "eff. over best" in text
    assert "pixels" not in str(compared(tmp_path, models, baselines=[{}, {}, {}]))
    for model in models:
        monkeypatch.setattr(model, "can_decode", False)
    result = compared(tmp_path, models)
    assert "R2 of pixels" in str(result)
    assert "eff. over best" not in str(result)
    beside = result.pairs[0, 1].context.baselines[0].figures
    assert math.isfinite(beside.r2.value)
    assert math.isnan(beside.efficiency.value)
