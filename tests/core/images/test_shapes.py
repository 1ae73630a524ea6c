import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.images.shapes import channels_first


@pytest.mark.parametrize(
    ("shape", "first"),
    [
        ((9, 28, 28), False),
        ((1, 28, 28), False),
        ((3, 7, 7), False),
        ((9, 5, 4), False),
        ((9, 3, 3), False),
        ((1, 16, 12, 3), False),
        ((9, 16, 12, 1), False),
        ((9, 3, 16, 12), True),
        ((1, 1, 16, 12), True),
    ],
)
def test_stacks_of_images_are_known_by_their_shape(shape, first):
    assert channels_first(shape, "a") is first


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((16, 16, 3), r"one picture with 3 channels: give array\[None\], or, if it is 16 grey im"),
        ((16, 12, 4), r"one picture with 4 channels: give array\[None, ..., :3\]"),
        ((16, 12, 1), r"one picture with 1 channel: give array\[None\], or, if it is 16 grey im"),
        ((16, 12, 2), r"one picture with 2 channels: give array\[None, ..., :1\]"),
        (
            (3, 16, 12),
            r"one colour picture or of 3 grey images: give array\[None\] or array\[..., ",
        ),
        ((28, 28), r"one picture is array\[None\], rows of flattened images are array.reshape"),
        ((9, 8, 8, 4), r"1 or 3 channels, not 4: leave out transparency, as array\[..., :3\]"),
        ((9, 4, 8, 8), r"1 or 3 channels, not 4: leave out transparency, as array\[:, :3\]"),
        ((9, 8, 8, 2), r"1 or 3 channels, not 2: choose one, as array\[..., :1\]"),
        ((9, 8, 8, 7), r"images need \(n, h, w\), \(n, h, w, c\) or \(n, c, h, w\) with c 1 or 3$"),
        ((2, 9, 8, 8, 3), r"images need \(n, h, w\), \(n, h, w, c\)"),
        ((0, 8, 8), "at least one image"),
    ],
)
def test_what_could_mean_something_else_is_refused_with_what_to_give(shape, message):
    with pytest.raises(ImageError, match=message):
        channels_first(shape, "a")


def test_what_the_message_says_is_taken(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    np.save(tmp_path / "one.npy", picture[None])
    np.save(tmp_path / "grey.npy", picture[..., None])
    one, grey = open_images(tmp_path / "one.npy"), open_images(tmp_path / "grey.npy")
    assert np.array_equal(one.read(0), picture)
    assert len(one) == 1
    assert grey.shapes.tolist() == [[12, 3, 1]] * 16


def test_the_case_of_users_is_refused(shared_data):
    with pytest.raises(ImageError, match=r"one_picture.npy has shape \(16, 16, 3\), which is that"):
        open_images(shared_data.parent / "cases" / "one_picture.npy")
