"""dSprites' own file: its images as they are meant, and none of its Python objects."""

import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.limits import raised_limits


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


@pytest.fixture
def path(tmp_path):
    """A file of that layout, with fewer and smaller images."""
    imgs = np.zeros((6, 8, 8), np.uint8)
    imgs[:, 2:5, 3:6] = 1
    imgs[3] = 0
    path = tmp_path / "dsprites.npz"
    np.savez_compressed(
        path,
        metadata=np.array({"latents": Trap()}, dtype=object),
        imgs=imgs,
        latents_classes=np.zeros((6, 6), np.int64),
        latents_values=np.ones((6, 6)),
    )
    return path


@pytest.mark.parametrize("end", ["", ":/imgs"])
def test_its_images_are_black_and_white(path, end):
    images = open_images(f"{path}{end}", notify=lambda _: None)
    assert len(images) == 6
    assert images.read(0).shape == (8, 8, 1)
    assert np.unique(images.read(0)).tolist() == [0, 255]
    assert int((images.read(0) == 255).sum()) == 9
    assert not images.read(3).any()


def test_a_range_that_is_said_holds(path):
    images = open_images(path, value_range=(0, 2))
    assert np.unique(images.read(0)).tolist() == [0, 128]


def test_another_file_with_imgs_is_as_any(tmp_path):
    imgs = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    np.savez(tmp_path / "other.npz", imgs=imgs, latents_values=np.ones((1, 6)))
    with pytest.raises(ImageError, match=r"holds imgs, latents_values: say which"):
        open_images(tmp_path / "other.npz")
    other = open_images(f"{tmp_path / 'other.npz'}:/imgs", notify=lambda _: None)
    assert int(other.read(0).max()) == 63


def test_more_than_a_file_may_ask_for_is_told_with_its_size(path):
    arrays = {"latents_values": np.ones(1), "latents_classes": np.ones(1)}
    np.savez_compressed(path, imgs=np.zeros((200, 64, 64), np.uint8), **arrays)
    message = r"the array imgs\.npy, 819,328 bytes\): .*--limit memory=N"
    with raised_limits({"memory": 500_000}), pytest.raises(ImageError, match=message):
        open_images(path)
