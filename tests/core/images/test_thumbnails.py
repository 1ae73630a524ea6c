"""Thumbnails of the images that codes are of: small, in the order of the codes, and no others."""

import io

import numpy as np
import pytest
from PIL import Image

from latentmap.codes import Codes, Space
from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.images.thumbnails import Thumbnails

SPACE = Space("z", 2, "a", "aa")
SIZES = [(60, 40), (30, 90), (20, 10), (64, 64)]


@pytest.fixture
def images(tmp_path):
    """Four images, of which the third is grey."""
    chance = np.random.default_rng(0)
    for number, (width, height) in enumerate(SIZES):
        shape = (height, width) if number == 2 else (height, width, 3)
        pixels = chance.integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return open_images(tmp_path)


def codes_of(images, order, *, digests=None):
    found = images.subset(order)
    digests = found.digests if digests is None else digests
    return Codes.from_array(found.ids, np.zeros((len(order), 2)), space=SPACE, digests=digests)


def test_thumbnails_have_the_order_of_the_codes_and_their_proportions(images):
    told = []
    made = Thumbnails(images, 30, lambda done, total: told.append((done, total)))
    files = list(made.of(codes_of(images, [3, 0, 2, 1])))
    found = [Image.open(io.BytesIO(file)) for file in files]
    assert [one.size for one in found] == [(30, 30), (30, 20), (20, 10), (10, 30)]
    assert [one.format for one in found] == ["JPEG", "JPEG", "PNG", "JPEG"]
    # What is small enough is as it was.
    assert np.array_equal(np.asarray(found[2]), images.read(2)[..., 0])
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_of_codes_that_do_not_tell_contents_ids_are_enough(images):
    codes = codes_of(images, [1], digests=np.zeros((1, 16), np.uint8))
    assert len(list(Thumbnails(images, 8).of(codes))) == 1


def test_images_that_are_missing_or_others_are_refused(images):
    codes = codes_of(images, [0, 1, 2, 3])
    with pytest.raises(ImageError, match=r"no image of 2 of the 4 codes \(2.png, 3.png\): give"):
        Thumbnails(images.subset([0, 1]), 8).of(codes)
    digests = images.digests.copy()
    digests[1] = 7
    with pytest.raises(ImageError, match=r"1 of the 4 images in .* are others .* \(1.png\): give"):
        Thumbnails(images, 8).of(codes_of(images, [0, 1, 2, 3], digests=digests))


def test_an_image_that_cannot_be_read_is_named(images, tmp_path):
    codes = codes_of(images, [0, 1])
    made = Thumbnails(images, 8).of(codes)
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"1\.png"):
        list(made)
