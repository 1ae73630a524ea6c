"""The order of the sliders: that of the library on a few images, measured once."""

import os
from dataclasses import fields

import numpy as np
import pytest
import torch

from latentmap.cache import Coder
from latentmap.explorer import variable_order
from latentmap.explorer.variable_order import order_for_sliders
from latentmap.images import ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.model.testing import LinearModel
from latentmap.support import OrderOptions
from latentmap.support.ordering import order_by_gain


@pytest.fixture
def scene():
    """A model whose variables matter the less the later they are, and images that it makes."""
    model = LinearModel(5, (1, 6, 6), name="source")
    spread = torch.tensor([1.0, 0.8, 0.5, 0.3, 0.0])
    codes = torch.randn(60, 5, generator=torch.manual_seed(0)) * spread
    pixels = (model.decode(codes) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return model, ImageSource(ArrayImages(pixels, "made"), np.arange(60))


def ordered(scene, cache, *, seed=3):
    model, images = scene
    coder = Coder.of(cache)
    (codes,) = coder.codes([model], images)
    return order_for_sliders(model, images, codes, coder, seed=seed)


def equal(one, other):
    for field in fields(one):
        if field.name not in ("record", "warning"):
            mine, its = getattr(one, field.name), getattr(other, field.name)
            np.testing.assert_array_equal(np.array(mine), np.array(its), err_msg=field.name)
            assert type(mine) is type(its)


def test_it_is_that_of_the_library_about_the_codes_of_all_images(scene, tmp_path, monkeypatch):
    model, images = scene
    monkeypatch.setattr(variable_order, "_MOST", 20)
    found = ordered(scene, tmp_path)
    (codes,) = Coder.of(tmp_path).codes([model], images)
    few = images.subset(np.sort(np.random.default_rng(3).permutation(60)[:20]))
    expected = order_by_gain(model, few, codes, OrderOptions(leading=5), seed=3)
    for name in ("order", "gain", "low", "high", "images", "n_images", "ties", "dropped"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    vectors = codes.vectors.double().numpy()
    np.testing.assert_allclose(found.mean, vectors.mean(0), atol=1e-6)
    assert not np.allclose(found.center, expected.center)
    assert found.n_images == 20 and 4 in {*(found.inactive or ()), *found.dropped}


def test_it_is_measured_once(scene, tmp_path, monkeypatch):
    first = ordered(scene, tmp_path)
    monkeypatch.setattr(variable_order, "order_by_gain", None)
    equal(first, ordered(scene, tmp_path))
    for other in ({"seed": 4}, {"cache": tmp_path / "other"}):
        with pytest.raises(TypeError, match="NoneType"):
            ordered(scene, **{"cache": tmp_path, **other})


def test_another_model_or_other_images_are_measured_anew(scene, tmp_path, monkeypatch):
    ordered(scene, tmp_path)
    monkeypatch.setattr(variable_order, "order_by_gain", None)
    model, images = scene
    others = [
        (LinearModel(5, (1, 6, 6), name="other", seed=1), images),
        (model, images.subset(np.arange(50))),
    ]
    for other in others:
        with pytest.raises(TypeError, match="NoneType"):
            ordered(other, tmp_path)


@pytest.mark.parametrize("harm", ["cut", "other", "folder"])
def test_what_was_kept_and_is_damaged_is_measured_again(scene, tmp_path, monkeypatch, harm):
    first = ordered(scene, tmp_path)
    (kept,) = (tmp_path / "sums").rglob("*.safetensors")
    if harm == "cut":
        kept.write_bytes(kept.read_bytes()[:-3])
    elif harm == "other":
        kept.write_bytes(b"\0" * 100)
    else:
        kept.unlink()
        kept.mkdir()
    equal(first, ordered(scene, tmp_path))
    if harm != "folder":
        monkeypatch.setattr(variable_order, "order_by_gain", None)
        equal(first, ordered(scene, tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_of_a_cache_that_is_read_alone_it_is_measured_all_the_same(scene, tmp_path):
    first = ordered(scene, tmp_path / "one")
    model, images = scene
    (codes,) = Coder.of(tmp_path / "one").codes([model], images)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o500)
    coder = Coder.of(tmp_path / "closed" / "cache")
    equal(first, order_for_sliders(model, images, codes, coder, seed=3))
