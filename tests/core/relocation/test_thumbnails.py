import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from latentmap.cache import Coder
from latentmap.codes import PIXELS
from latentmap.frames import Frame
from latentmap.images import View, open_images
from latentmap.images.arrays import ArrayImages
from latentmap.intervals import Estimate
from latentmap.mapping import FitOptions
from latentmap.model import Model
from latentmap.model.testing import LinearModel, check_model
from latentmap.model.thumbnails import Thumbnail
from latentmap.relocation import (
    fit_baseline,
    fit_training,
    score_models,
    thumbnail_between,
    training_pairs,
)
from latentmap.relocation.thumbnails import parts_of

VIEW = View(Frame(), (8, 6), 3)


class Grid(Model):
    """Grey images in cells of ``side x side`` pixels, whose pixels are channels, each multiplied
    with its own number; decodes exactly.
    """

    family = "grid-test"

    def __init__(self, side, *, size=(12, 12), name="grid"):
        self._side = side
        height, width = size
        network = nn.Module()
        scale = torch.linspace(0.5, 2, side * side)[:, None, None]
        network.register_buffer("scale", scale)
        super().__init__(
            network,
            name=name,
            config={"side": side, "size": list(size)},
            latent_dim=height * width,
            image_shape=(1, height, width),
            latent_shape=(side * side, height // side, width // side),
        )

    def _encode(self, images):
        return nn.functional.pixel_unshuffle(images, self._side) * self.network.scale

    def _decode(self, codes):
        shown = nn.functional.pixel_shuffle(codes / self.network.scale, self._side)
        return shown.clamp(0, 1)


def photographs(folder, n=120, size=12):
    """Smooth random images, so that a thumbnail says something of them."""
    noise = torch.rand(n, 1, 4, 4, generator=torch.manual_seed(0))
    smooth = nn.functional.interpolate(noise, (size, size), mode="bilinear")
    smooth += 0.1 * torch.randn(smooth.shape, generator=torch.manual_seed(1))
    pixels = (smooth.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    np.save(folder / "images.npy", pixels.numpy())
    return open_images(folder / "images.npy")


def both(source, target, images, coder, *, options=None):
    """The scores of the map, with a thumbnail beside it, and what that is."""
    thumbnail = thumbnail_between(source, target)
    training = training_pairs(source, target, images, coder, beside=[thumbnail])
    linear_map = fit_training(training, options=options)
    baseline = fit_baseline(training, "pixels", thumbnail, coder, options=options)
    (scores,) = score_models(
        [linear_map], source, target, images.split("test"), coder, baselines=[baseline]
    )
    return scores, baseline


def test_codes_are_the_means_of_parts():
    images = torch.rand(5, 3, 8, 6, generator=torch.manual_seed(0))
    expected = images.numpy().reshape(5, 3, 4, 2, 3, 2).mean((3, 5))
    found = Thumbnail(VIEW, (4, 3)).encode(images).numpy()
    np.testing.assert_allclose(found, expected.reshape(5, -1), rtol=1e-5)
    folded = Thumbnail(VIEW, (4, 6), fold=(2, 2))
    assert folded.latent_shape == (12, 2, 3)
    rows = torch.from_numpy(images.numpy().reshape(5, 3, 4, 2, 6).mean(3))
    cells = nn.functional.pixel_unshuffle(rows, 2)
    torch.testing.assert_close(folded.encode(images), cells.flatten(1))


def test_parts_that_are_no_multiple_are_whole_pixels():
    """As ``pixels:5x4`` of the reference models has them."""
    from latentmap.encoders.reference_models import PixelsModel

    images = torch.rand(2, 3, 8, 6, generator=torch.manual_seed(0))
    other = PixelsModel(VIEW, (5, 4), name="pixels:5x4")
    assert torch.equal(Thumbnail(VIEW, (5, 4)).encode(images), other.encode(images))


def test_codes_of_thumbnails_are_pixels_and_have_no_normal_prior():
    assert Thumbnail(VIEW, (4, 3)).space.kind == PIXELS


def test_a_thumbnail_keeps_the_contract():
    check_model(Thumbnail(VIEW, (4, 3)))
    check_model(Thumbnail(VIEW, (4, 6), fold=(2, 2)))
    images = torch.rand(2, 3, 8, 6)
    pixels = (images * 255).round().to(torch.uint8)
    model = Thumbnail(VIEW, (4, 3))
    half = model.encode_pixels(pixels, precision="bfloat16")
    assert torch.equal(half, model.encode_pixels(pixels))


@pytest.mark.parametrize(
    ("size", "channels", "most", "parts"),
    [
        ((64, 64), 3, 150, (7, 7)),
        ((64, 64), 3, 192, (8, 8)),
        ((192, 160), 3, 960, (19, 16)),
        ((8, 64), 1, 33, (2, 16)),
        ((64, 8), 1, 33, (16, 2)),
        ((4, 4), 3, 1000, (4, 4)),
        ((4, 4), 3, 3, (1, 1)),
        ((4, 4), 3, 2, None),
    ],
)
def test_a_thumbnail_has_as_many_numbers_and_the_proportions(size, channels, most, parts):
    assert parts_of(View(Frame(), size, channels), most) == parts


def test_what_stands_beside_is_a_map_of_its_own(tmp_path):
    """Every figure and interval is that of the same fit with the thumbnail as the source."""
    images, coder = photographs(tmp_path), Coder.of(tmp_path / "cache")
    source = LinearModel(9, (1, 12, 12), seed=1, name="a")
    target = LinearModel(30, (1, 12, 12), seed=2, name="b")
    scores, baseline = both(source, target, images, coder)
    (beside,) = scores.baselines
    assert (beside.model, beside.numbers) == ("pixels:3x3", 9)
    training = training_pairs(baseline.model, target, images, coder)
    alone = fit_training(training)
    torch.testing.assert_close(baseline.linear_map.weight, alone.weight)
    (expected,) = score_models([alone], baseline.model, target, images.split("test"), coder)
    for name in ("l_mse", "r2", "m_mse", "floor_mse", "baseline_mse", "efficiency"):
        found = getattr(beside.figures, name)
        assert found == pytest.approx(getattr(expected, name), rel=1e-5), name
    assert math.isnan(beside.figures.r_mse.value)
    (record,) = scores.to_json()["baselines"]
    assert (record["kind"], record["model"], record["numbers"]) == ("pixels", "pixels:3x3", 9)
    assert record["r2_low"] == beside.figures.r2.low
    assert "pixels:3x3  " in str(scores)


def test_originals_are_read_and_decoded_once_for_both(tmp_path, monkeypatch):
    images, coder = photographs(tmp_path), Coder.of(tmp_path / "cache")
    source = LinearModel(9, (1, 12, 12), seed=1, name="a")
    target = LinearModel(30, (1, 12, 12), seed=2, name="b")
    calls, read = [], []
    monkeypatch.setattr(
        target, "launch", lambda codes: calls.append(len(codes)) or Model.launch(target, codes)
    )
    render = ArrayImages.render
    monkeypatch.setattr(
        ArrayImages,
        "render",
        lambda self, index, *rest: read.extend(index.tolist()) or render(self, index, *rest),
    )
    with images.remembered():
        scores, _ = both(source, target, images, coder)
    assert scores.baselines
    # The originals' codes, those of the map, and those of the thumbnail's map.
    assert sum(calls) == 3 * scores.n_test
    assert sorted(read) == list(range(120))


def test_between_grids_a_thumbnail_has_the_cells_of_the_source(tmp_path):
    images, coder = photographs(tmp_path), Coder.of(tmp_path / "cache")
    source, target = Grid(4, name="coarse"), Grid(2, name="fine")
    thumbnail = thumbnail_between(source, target)
    assert thumbnail.latent_shape == (16, 3, 3)
    scores, baseline = both(source, target, images, coder)
    assert baseline.linear_map.patches.cells == 9
    assert baseline.linear_map.patches.size == 3
    assert scores.r2.value == pytest.approx(1, abs=1e-4)
    # All pixels are in it.
    assert scores.baselines[0].figures.r2.value == pytest.approx(1, abs=1e-4)
    flat = thumbnail_between(source, target, patch="full")
    assert flat.latent_shape == (1, 12, 12)


def test_a_target_that_only_encodes_has_a_thumbnail_by_codes(tmp_path, monkeypatch):
    images, coder = photographs(tmp_path), Coder.of(tmp_path / "cache")
    source = LinearModel(9, (1, 12, 12), seed=1, name="a")
    target = LinearModel(30, (1, 12, 12), seed=2, name="b")
    whole, _ = both(source, target, images, coder)
    for model in (source, target):
        monkeypatch.setattr(model, "can_decode", False)
    scores, _ = both(source, target, images, coder)
    found, expected = scores.baselines[0].figures, whole.baselines[0].figures
    assert found.r2 == pytest.approx(expected.r2, rel=1e-6)
    assert math.isnan(found.efficiency.value)
    assert "efficiency" not in str(scores)


def test_pixels_are_no_judge_where_they_rank_the_other_way(tmp_path):
    images, coder = photographs(tmp_path), Coder.of(tmp_path / "cache")
    source = LinearModel(9, (1, 12, 12), seed=1, name="a")
    target = LinearModel(30, (1, 12, 12), seed=2, name="b")
    scores, _ = both(source, target, images, coder)
    as_measured = {"r2": (0.469, 0.46, 0.48), "efficiency": (0.900, 0.888, 0.912)}
    by_pixels = {"r2": (0.303, 0.29, 0.31), "efficiency": (0.912, 0.902, 0.920)}

    def text(ours, theirs):
        ours, theirs = (
            {name: Estimate(*numbers) for name, numbers in one.items()} for one in (ours, theirs)
        )
        (one,) = scores.baselines
        beside = replace(one, figures=replace(one.figures, **theirs))
        return str(replace(scores, **ours, baselines=(beside,)))

    assert "errors of images tell little here: pixels:3x3 does as well" in text(
        as_measured, by_pixels
    )
    assert "tell little" not in text(as_measured, as_measured)
    assert "tell little" not in text(by_pixels, as_measured)


def test_a_penalty_of_the_sources_scale_is_none_of_the_thumbnails(tmp_path):
    """It would shrink the map that reads pixels to nothing, and the map beside it would shine."""
    images, coder = photographs(tmp_path), Coder.of(tmp_path / "cache")
    source = LinearModel(9, (1, 12, 12), seed=1, name="a")
    target = LinearModel(30, (1, 12, 12), seed=2, name="b")
    _, chosen = both(source, target, images, coder)
    options = FitOptions(settings={"penalty": 1e6})
    _, given = both(source, target, images, coder, options=options)
    assert given.linear_map.settings == chosen.linear_map.settings
    fixed = FitOptions(method="published", settings={"penalty": 2.0})
    assert both(source, target, images, coder, options=fixed)[1].linear_map.settings == {
        "penalty": 2.0
    }
