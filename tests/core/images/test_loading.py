"""All pixels of some images, some at a time."""

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import ImageError
from latentmap.frames import Frame
from latentmap.images import View, floats_of, load_all, loading, open_images

VIEW = View(Frame("full"), (4, 4), 1)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_BLOCK", 2)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4), dtype=np.uint8)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / f"{number}.png")
    return tmp_path


def test_floats_are_the_pixels_that_are_loaded_at_once(images):
    source, done = open_images(images), []
    skipped = {}
    parts = list(floats_of(source, VIEW, skipped, progress=lambda *one: done.append(one)))
    whole, _, _ = load_all(source, VIEW)
    assert torch.equal(torch.cat(parts), whole.float() / 255)
    assert [len(part) for part in parts] == [2, 2, 1]
    assert done == [(2, 5), (4, 5), (5, 5)]
    assert not skipped


def test_images_that_cannot_be_read_are_told_once(images):
    for number in (2, 3):
        (images / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    source, skipped = open_images(images), {}
    for _ in range(2):
        parts = list(floats_of(source, VIEW, skipped, on_error="skip"))
        assert [len(part) for part in parts] == [2, 1]  # Without one of nothing.
        assert list(skipped) == ["2.png", "3.png"]
    with pytest.raises(ImageError, match=r"2\.png"):
        list(floats_of(source, VIEW, {}))
