import math

import numpy as np
import pytest

from latentmap.intervals import UNDEFINED, Estimate
from latentmap.relocation.enough import Enough, enough_pairs, first_within

SIZES = [16, 64, 256, 1024]


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_what_falls_as_one_over_the_pairs_is_found_between_sizes(scale):
    # f(n) = c (1 - a / n) is within 1 % of f(1024) from 1 / (0.01 / a + 0.99 / 1024) on.
    a = 4.0
    values = scale * (1 - a / np.array(SIZES))
    expected = 1 / (0.01 / a + 0.99 / 1024)
    assert 256 < expected < 1024
    assert first_within(SIZES, values) == pytest.approx(expected)


def test_enough_is_where_a_curve_stays_and_not_where_it_first_comes():
    assert first_within(SIZES, np.array([0.1, 1.0, 0.9, 1.0])) == pytest.approx(
        1 / (1 / 256 + 0.9 * (1 / 1024 - 1 / 256))
    )


def test_a_curve_that_is_flat_has_enough_with_its_first_size():
    assert first_within(SIZES, np.ones(4)) == 16
    assert first_within(SIZES, np.array([2.0, 1.0, 1.0, 1.0])) == 16


@pytest.mark.parametrize("end", [0.0, -0.5, math.nan])
def test_nothing_is_enough_for_what_ends_at_nothing(end):
    values = np.array([-1.0, -0.9, -0.8, end])
    assert math.isnan(first_within(SIZES, values))
    found = enough_pairs(SIZES, values, np.tile(values, (40, 1)))
    assert found.in_words("the R2").endswith("the R2 is not told: it may not be above 0")
    assert found.to_json("enough")["enough"] is None


def test_the_interval_is_that_of_the_resamplings():
    values = np.array([0.5, 0.9, 0.985, 1.0])
    drawn = np.tile(values, (100, 1))
    drawn[:50, 2] = 0.98
    found = enough_pairs(SIZES, values, drawn)
    assert found.pairs.low == pytest.approx(first_within(SIZES, values))
    assert found.pairs.high == pytest.approx(first_within(SIZES, drawn[0]))
    assert found.pairs.value == found.pairs.low < found.pairs.high
    assert not found.to_json("enough")["enough_at_most"]


def test_what_is_not_told_in_many_resamplings_is_not_told():
    values = np.array([0.5, 0.9, 0.985, 1.0])
    drawn = np.tile(values, (100, 1))
    drawn[:10] = -1
    assert math.isnan(enough_pairs(SIZES, values, drawn).pairs.value)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (Estimate(40.0, 16.0, 90.0), "40 [16 or fewer, 90] pairs give 99 % of the R2 that 1,024"),
        (Estimate(16.0, 16.0, 90.0), "16 pairs or fewer (at most 90) give 99 % of the R2 that"),
        (UNDEFINED, "how many pairs give 99 % of the R2 is not told"),
    ],
)
def test_what_is_below_the_first_size_is_no_number(pairs, said):
    assert Enough(pairs, 16, 1024).in_words("the R2").startswith(said)
