"""Images on disk that are indexed as if they were a tensor."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from latentmap.errors import ImageError, OutputError
from latentmap.frames import Frame
from latentmap.images import ImageSource, View
from latentmap.images.arrays import ArrayImages
from latentmap.images.spooled import spool_images

VIEW = View(Frame(), (6, 5), 3)


def source(n=23, *, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 6, 5, 3), dtype=np.uint8)
    return ImageSource(ArrayImages(pixels, "pixels"), np.arange(n)), pixels


def n_open():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_they_are_what_a_tensor_of_all_of_them_is(tmp_path):
    images, pixels = source()
    spooled = spool_images(images, VIEW, tmp_path, batch_size=7)
    every = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
    rows = torch.tensor([3, 4, 5, 22, 0, 0, 9, 8])
    for index in (slice(None), slice(4, 11), slice(20, 40), slice(0, 0), rows, rows[:0]):
        assert torch.equal(spooled[index], every[index])
        assert spooled[index].is_contiguous()
    assert np.array_equal(spooled.pixels(rows), pixels[rows])
    assert (len(spooled), spooled.shape) == (23, (23, 3, 6, 5))
    assert spooled.positions.tolist() == list(range(23))


def test_nothing_lies_in_the_folder_and_what_was_opened_is_closed(tmp_path):
    folder = tmp_path / "made" / "now"
    before = n_open()
    spooled = spool_images(source()[0], VIEW, folder, batch_size=64)
    assert list(folder.iterdir()) == []
    assert n_open() == before + 1
    del spooled
    assert n_open() == before


def test_images_that_cannot_be_read_are_left_out_or_refused(tmp_path):
    class Torn(ArrayImages):
        def render(self, index, views, outs, scratch):
            super().render(index, views, outs, scratch)
            return [(place, "torn") for place, i in enumerate(index) if i in (2, 9)]

    images = ImageSource(Torn(source()[1], "pixels"), np.arange(23))
    spooled = spool_images(images, VIEW, tmp_path, batch_size=8, on_error="skip")
    assert spooled.failed == [2, 9]
    assert spooled.positions.tolist() == [i for i in range(23) if i not in (2, 9)]
    expected = torch.from_numpy(source()[1][[8, 10]]).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(spooled[7:9], expected)
    with pytest.raises(ImageError, match="torn"):
        spool_images(images, VIEW, tmp_path, batch_size=8)


def test_a_folder_that_cannot_take_them_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"images cannot be kept in .*file .*choose another"):
        spool_images(source()[0], VIEW, tmp_path / "file", batch_size=8)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"No space left on device.*make room there"):
        spool_images(source()[0], VIEW, tmp_path, batch_size=8)
