from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.images.values import ValueRange, likely_range, suggested_range


def exactly(value, black, white):
    """Round half up in whole numbers."""
    share = 255 * (Fraction(value) - Fraction(black)) / (Fraction(white) - Fraction(black))
    return (share + Fraction(1, 2)).__floor__()


@given(st.integers(-70000, 70000), st.integers(1, 200000), st.data())
def test_whole_numbers_are_rounded_exactly(black, span, data):
    values = data.draw(st.lists(st.integers(black, black + span), min_size=1, max_size=20))
    pixels = ValueRange(float(black), float(black + span)).to_eight_bits(np.array(values))
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [exactly(v, black, black + span) for v in values]


@pytest.mark.parametrize("white", [1, 15, 100, 1023, 4095, 16383, 65535])
@pytest.mark.parametrize("dtype", [np.uint16, ">u2", np.int32, np.int64])
def test_every_depth_goes_from_black_to_white(white, dtype):
    values = np.arange(white + 1).astype(dtype)
    pixels = ValueRange(0.0, float(white)).to_eight_bits(values)
    assert (pixels[0], pixels[-1]) == (0, 255)
    assert pixels.tolist() == [exactly(v, 0, white) for v in range(white + 1)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_of_minus_one_to_one_are_those_of_zero_to_one(dtype):
    steps = np.arange(256)
    values = (steps / 127.5 - 1).astype(dtype)
    if dtype == np.float16:
        values = np.array([-1, 0, 1], dtype)
        steps = np.array([0, 128, 255])
    assert ValueRange(-1.0, 1.0).to_eight_bits(values).tolist() == steps.tolist()


def test_booleans_are_black_and_white():
    assert ValueRange(0.0, 1.0).to_eight_bits(np.array([False, True])).tolist() == [0, 255]


@pytest.mark.parametrize("values", [[-1, 0], [0, 6], [0.0, float("nan")]])
def test_values_outside_the_range_are_refused(values):
    with pytest.raises(ImageError, match=r"values must be from 0 to 5 \(--range\), not"):
        ValueRange(0.0, 5.0).to_eight_bits(np.array(values))


@pytest.mark.parametrize(("black", "white"), [(1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
def test_a_range_goes_up(black, white):
    with pytest.raises(ImageError, match=r"a range of values (goes|has two numbers)"):
        ValueRange(float(black), float(white))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_range_that_is_advised_holds_the_values_that_it_is_of(dtype):
    for seed in range(20):
        values = (np.random.default_rng(seed).random((5, 4, 4)) / 255).astype(dtype)
        typed = suggested_range(0.0, float(values.max()))
        said = ValueRange(*map(float, typed.split(",")))
        assert said.to_eight_bits(values).max() == 255


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, "0,1"),
        (0, 16, "0,16"),
        (0, 200, "0,255"),
        (0, 1000, "0,1023"),
        (0, 4080, "0,4095"),
        (0, 16000, "0,16383"),
        (0, 60000, "0,65535"),
        (0, 100000, "0,100000"),
        (-1, 0.99, "-1,1"),
        (-128, 127, "-128,127"),
    ],
)
def test_what_a_range_could_be_is_guessed_from_its_ends(low, high, expected):
    assert str(likely_range(low, high)) == expected


WAYS = {
    "0/1": (np.uint8, (0, 1)),
    "percent": (np.int64, (0, 100)),
    "10 bits": (np.uint16, (0, 1023)),
    "12 bits": (np.uint16, (0, 4095)),
    "14 bits": (np.int32, (0, 16383)),
    "signed bytes": (np.int8, (-128, 127)),
    "floats to 255": (np.float32, (0, 255)),
    "tanh": (np.float32, (-1, 1)),
    "booleans": (bool, (0, 1)),
}


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize(("dtype", "ends"), WAYS.values(), ids=WAYS)
def test_an_array_is_what_its_range_says(tmp_path, dtype, ends, suffix):
    black, white = ends
    random = np.random.default_rng(0)
    values = random.integers(black, white + 1, (12, 6, 5))
    values[:, 0, 0], values[:, 0, 1] = ends
    path = tmp_path / f"a.{suffix}"
    (np.save if suffix == "npy" else np.savez)(path, values.astype(dtype))
    source = open_images(path, value_range=ends)
    expected = np.array([exactly(int(v), black, white) for v in values.ravel()]).reshape(12, 6, 5)
    assert np.array_equal(np.stack([source.read(i)[..., 0] for i in range(12)]), expected)
    # Its pixels are its content, whatever they were called.
    np.save(tmp_path / "same.npy", expected.astype(np.uint8))
    assert open_images(tmp_path / "same.npy").fingerprint == source.fingerprint


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0, 16]), r"not int64 such as 0 to 16: say which .* --range 0,16"),
        (np.array([-3, 9], np.int8), r"not int8 such as -3 to 9: .* --range -3,9"),
        (np.array([False, True]), r"not bool such as 0 to 1: .* --range 0,1"),
        (np.array([0, 0]), r"not int64 such as 0 to 0: .* --range LOW,HIGH"),
        (np.array([1j, 0]), r"not complex128$"),
    ],
)
def test_numbers_without_a_range_of_their_own_ask_for_one(tmp_path, values, message):
    np.save(tmp_path / "a.npy", np.broadcast_to(values[:, None, None], (2, 5, 5)))
    with pytest.raises(ImageError, match=message):
        open_images(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("high", "low", "said"), [(255, 0, "0,255"), (1, -1, "-1,1"), (1.5, 0, "0,1.5")]
)
def test_floats_beyond_one_are_told_what_to_say(tmp_path, high, low, said):
    array = np.zeros((3, 5, 5), np.float32)
    array[:, 0, 0], array[:, 1, 1] = low, high
    np.save(tmp_path / "a.npy", array)
    source = open_images(tmp_path / "a.npy")
    with pytest.raises(ImageError, match=rf"\[0, 1\], not .* such as --range {said}$"):
        source.read(0)


def test_values_of_any_type_are_rounded_block_by_block(monkeypatch):
    values = np.random.default_rng(0).integers(0, 4096, (7, 11, 3)).astype(np.int16)
    said = ValueRange(0.0, 4095.0)
    whole = said.to_eight_bits(values)
    monkeypatch.setattr("latentmap.images.values._BLOCK", 10)
    assert np.array_equal(said.to_eight_bits(values), whole)
    assert np.array_equal(said.to_eight_bits(values.transpose(2, 0, 1)), whole.transpose(2, 0, 1))
