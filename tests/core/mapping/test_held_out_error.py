import math

import pytest

from latentmap.codes import PIXELS, Space
from latentmap.intervals import UNDEFINED, Estimate
from latentmap.mapping.held_out_error import HeldOutError, psnr_of

PICTURES = Space(PIXELS, 12, "pixels:2", "0" * 64, (3, 2, 2))


def test_decibels_of_an_error_by_hand():
    assert psnr_of(Estimate(1e-2, 1e-3, 1e-1), PICTURES) == pytest.approx((20, 10, 30))


@pytest.mark.parametrize(
    ("l_mse", "target"),
    [
        (Estimate(0.01, 0.01, 0.01), Space("z", 12, "vae", "0" * 64, (3, 2, 2))),
        (Estimate(0.0, 0.0, 0.0), PICTURES),
        (UNDEFINED, PICTURES),
    ],
)
def test_decibels_of_pixels_that_differ_alone(l_mse, target):
    assert math.isnan(psnr_of(l_mse, target).value)


def test_an_error_of_one_unit_has_no_interval_in_decibels_either():
    value, low, high = psnr_of(Estimate(0.1, math.nan, math.nan), PICTURES)
    assert value == pytest.approx(10)
    assert math.isnan(low)
    assert math.isnan(high)


def test_what_a_file_says_is_read_again():
    error = HeldOutError(Estimate(0.5, 0.4, 0.6), Estimate(0.1, 0.05, 0.2), UNDEFINED, 9, 4)
    again = HeldOutError.from_json(error.to_json())
    assert (again.r2, again.l_mse, again.n_test, again.n_units) == (error.r2, error.l_mse, 9, 4)
    assert math.isnan(again.psnr.value)


@pytest.mark.parametrize(
    "changed", [{"n_test": 0}, {"n_units": 2**63}, {"r2_low": "x"}, {"l_mse": 10**400}, {"r2": {}}]
)
def test_what_is_none_is_refused(changed):
    right = HeldOutError(UNDEFINED, UNDEFINED, UNDEFINED, 1, 1).to_json()
    with pytest.raises(ValueError, match="figures with intervals, of some images"):
        HeldOutError.from_json({**right, **changed})
