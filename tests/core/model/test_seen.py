"""The filter of training images: what it finds, how seldom it errs, how small it is."""

import numpy as np
import pytest

from latentmap.errors import ModelError
from latentmap.model import SeenImages


def digests(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


def test_every_image_that_was_seen_is_found():
    seen = digests(5000)
    assert SeenImages.of(seen).contains(seen).all()
    assert SeenImages.of(seen[:1]).contains(seen[:2]).tolist() == [True, False]


def test_fewer_than_one_in_ten_thousand_others_is_taken_for_one():
    filter = SeenImages.of(digests(60_000))
    others = digests(1_000_000, seed=1)
    # 6 / 65536 is 92 of a million; three standard deviations are 29.
    assert abs(int(filter.contains(others).sum()) - 92) < 29


@pytest.mark.parametrize("n", [6, 11, 35])
def test_of_few_images_no_more_others_are_taken_for_one(n):
    found = SeenImages.of(digests(n)).contains(digests(1_000_000, seed=1))
    assert found.sum() < 92 + 29


def test_it_takes_eighteen_bits_an_image_or_fewer():
    filter = SeenImages.of(digests(60_000))
    size = sum(tensor.nbytes for tensor in filter.to_tensors().values())
    assert 8 * size / 60_000 < 18
    assert 60_000 - len(filter) < 10


def test_copies_and_the_order_of_images_make_no_difference():
    seen = digests(3000)
    again = np.concatenate([seen[::-1], *[seen[:1]] * 1000])
    assert SeenImages.of(again).fingerprint == SeenImages.of(seen).fingerprint


def test_what_is_not_known_is_not_remembered_and_not_found():
    unknown = np.zeros((3, 16), np.uint8)
    assert len(SeenImages.of(unknown)) == 0
    assert not SeenImages.of(np.concatenate([digests(5), unknown])).contains(unknown).any()
    assert not SeenImages.of(unknown).contains(digests(5)).any()


def test_a_filter_comes_back_from_its_tensors_and_another_is_refused():
    filter = SeenImages.of(digests(1000))
    tensors = filter.to_tensors()
    assert SeenImages.from_tensors(tensors, filter.fingerprint).contains(digests(1000)).all()
    for change in (
        {"counts": tensors["counts"].float()},
        {"counts": tensors["counts"][None]},
        {"counts": tensors["counts"][:0], "rests": tensors["rests"][:0]},
        {"rests": tensors["rests"][1:]},
        {"rests": tensors["rests"].flip(0)},
    ):
        with pytest.raises(ModelError, match="remembers of its training images is not what was"):
            SeenImages.from_tensors({**tensors, **change}, filter.fingerprint)
    with pytest.raises(ModelError, match="get it again"):
        SeenImages.from_tensors({}, filter.fingerprint)
