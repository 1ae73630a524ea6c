import math

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from latentmap.intervals import resample
from latentmap.relocation.gains import (
    MEAN,
    NO_GAIN,
    Bounded,
    Drawn,
    gain_in_codes,
    gain_in_images,
    linearity_in_codes,
    linearity_in_images,
)

ALL = Drawn(None)
NOTHING = np.full(4, math.nan)


def errors(n, count, seed=0):
    """Errors of several maps on the same images, which are hard for all of them or for none."""
    rng = np.random.default_rng(seed)
    return rng.lognormal(0, 0.5, n) * rng.lognormal(0, 0.3, (count, n))


def test_a_gain_is_what_r2_is_beyond_the_largest_of_the_baselines():
    missed, variance = np.array([1.0, 2, 1, 2]), np.array([8.0, 10, 12, 10])
    baselines = {"a": np.array([4.0, 5, 6, 5]), "b": np.array([3.0, 4, 3, 4])}
    best, gain, _ = gain_in_codes(missed, variance, baselines, ALL)
    # R2 is 1 - 1.5 / 10, that of b 1 - 3.5 / 10.
    assert (best, gain.value) == ("b", pytest.approx(0.2))
    # Every image gains 2, and the variance has a mean of 8 to 12.
    assert 2 / 12 <= gain.low <= gain.value <= gain.high <= 2 / 8


def test_the_efficiency_over_the_best_has_its_error_in_place_of_the_mean_images():
    bounded = Bounded(np.array([3.0, 3, 3]), np.array([1.0, 1, 1]), np.array([9.0, 9, 9]))
    names = {"a": np.array([5.0, 5, 5]), "b": np.array([7.0, 7, 7])}
    best, part = gain_in_images(bounded, names, ALL)
    assert (best, tuple(part)) == ("a", (0.5, 0.5, 0.5))
    best, part = gain_in_images(bounded, {"a": np.array([11.0, 11, 11])}, ALL)
    assert (best, part.value) == (MEAN, 0.75)


def test_an_efficiency_is_not_defined_where_a_baseline_is_as_good_as_the_target_itself():
    bounded = Bounded(np.full(4, 3.0), np.full(4, 2.0), np.full(4, 9.0))
    best, part = gain_in_images(bounded, {"a": np.full(4, 1.5)}, ALL)
    assert best == "a"
    assert math.isnan(part.value)


def test_without_images_there_is_neither_efficiency_nor_its_part():
    bounded = Bounded(NOTHING, NOTHING, NOTHING)
    best, part = gain_in_images(bounded, {"a": NOTHING}, ALL)
    assert best == ""
    assert math.isnan(part.value)
    assert math.isnan(linearity_in_images(bounded, NOTHING, ALL).value)


def test_without_a_variance_there_is_no_gain():
    _, gain, _ = gain_in_codes(np.ones(4), np.zeros(4), {"a": np.full(4, 2.0)}, ALL)
    assert math.isnan(gain.value)


@pytest.mark.parametrize("seed", range(5))
def test_the_p_value_is_that_of_students_paired_test(seed):
    missed, other, variance = errors(30, 3, seed)
    _, _, p_value = gain_in_codes(missed, variance, {"a": other}, ALL)
    expected = ttest_1samp(other - missed, 0, alternative="greater").pvalue
    assert p_value == pytest.approx(expected, rel=1e-9)
    alone = Drawn(np.arange(30)[::-1])
    assert gain_in_codes(missed, variance, {"a": other}, alone)[2] == pytest.approx(p_value)


def test_of_several_baselines_the_largest_p_value_counts():
    missed, one, other, variance = errors(40, 4)
    both = {"one": 1.1 * one, "other": 1.5 * other}
    each = [gain_in_codes(missed, variance, {name: both[name]}, ALL)[2] for name in both]
    assert each[0] != each[1]
    assert gain_in_codes(missed, variance, both, ALL)[2] == max(each)


def test_images_of_one_group_are_one_observation():
    missed, other, variance = errors(20, 3)
    alone = gain_in_codes(missed, variance, {"a": other}, ALL)
    thrice = [np.tile(row, 3) for row in (missed, variance, other)]
    drawn = Drawn(np.tile(np.arange(20), 3))
    again = gain_in_codes(*thrice[:2], {"a": thrice[2]}, drawn)
    assert again[2] == pytest.approx(alone[2])
    assert tuple(again[1]) == pytest.approx(tuple(alone[1]))
    # As if they were images of their own, the same gain looks surer.
    apart = gain_in_codes(*thrice[:2], {"a": thrice[2]}, ALL)
    assert abs(apart[2] - 0.5) > abs(alone[2] - 0.5)


def test_groups_of_unequal_sizes_have_the_error_of_a_ratio_of_sums():
    """By the delta method, written out group by group."""
    missed, other, variance = errors(24, 3)
    units = np.repeat(np.arange(8), [1, 5, 2, 4, 3, 3, 2, 4])
    difference = other - missed
    mean = difference.mean()
    away = [(difference[units == unit] - mean).sum() for unit in range(8)]
    error = math.sqrt(8 / 7 * sum(one**2 for one in away)) / 24
    found = gain_in_codes(missed, variance, {"a": other}, Drawn(units))[2]
    assert found == pytest.approx(t.sf(mean / error, 7))


def test_the_order_of_images_changes_nothing_but_which_are_drawn():
    missed, other, variance = errors(50, 3)
    order = np.random.default_rng(1).permutation(50)
    one = gain_in_codes(missed, variance, {"a": other}, ALL)
    again = gain_in_codes(missed[order], variance[order], {"a": other[order]}, ALL)
    assert again[1].value == pytest.approx(one[1].value)
    assert again[2] == pytest.approx(one[2])


def test_one_unit_has_no_p_value_and_equal_errors_a_plain_one():
    same = np.arange(4.0)
    together = Drawn(np.zeros(4))
    assert math.isnan(gain_in_codes(same, same, {"a": same + 1}, together)[2])
    assert gain_in_codes(same, same, {"a": same}, ALL)[2] == 1
    assert gain_in_codes(same, same, {"a": same + 1}, ALL)[2] == 0


def test_what_is_not_defined_is_null():
    assert set(NO_GAIN.to_json().values()) == {None}


def test_linearity_is_the_share_of_what_a_nonlinear_map_reaches():
    linear, nonlinear = np.full(5, 4.0), np.full(5, 2.0)
    part = linearity_in_codes(linear, nonlinear, np.full(5, 10.0), ALL)
    assert tuple(part) == pytest.approx((0.75,) * 3)
    bounded = Bounded(linear, np.full(5, 1.0), np.full(5, 7.0))
    # (7 - 4) / 6 over (7 - 2) / 6.
    assert tuple(linearity_in_images(bounded, nonlinear, ALL)) == pytest.approx((0.6,) * 3)


def test_where_the_nonlinear_map_is_no_better_the_linear_one_is_the_ceiling():
    linear, nonlinear, variance = np.full(5, 4.0), np.full(5, 6.0), np.full(5, 10.0)
    assert tuple(linearity_in_codes(linear, nonlinear, variance, ALL)) == (1, 1, 1)
    # Nor where it predicts nothing at all.
    assert tuple(linearity_in_codes(linear, variance + 5, variance, ALL)) == (1, 1, 1)


def test_a_linear_map_that_is_worse_than_the_mean_has_less_than_nothing():
    part = linearity_in_codes(np.full(5, 12.0), np.full(5, 6.0), np.full(5, 10.0), ALL)
    assert part.value == pytest.approx(-0.5)


def test_linearity_is_not_defined_where_neither_map_predicts_anything():
    worse = np.full(5, 12.0)
    assert math.isnan(linearity_in_codes(worse, worse, np.full(5, 10.0), ALL).value)
    bounded = Bounded(np.full(5, 4.0), np.full(5, 8.0), np.full(5, 7.0))
    assert math.isnan(linearity_in_images(bounded, np.full(5, 2.0), ALL).value)


def test_below_one_the_interval_is_that_of_the_plain_ratio():
    """Near 1, where a part of the resamplings is beyond it, it ends at 1 and is not bent."""
    linear, nonlinear, variance = errors(60, 3) * np.array([[1.02], [1], [6]])
    part = linearity_in_codes(linear, nonlinear, variance, ALL)
    found = resample(np.stack([linear, nonlinear, variance]))
    one, other, whole = found.means.T
    plain = found.estimate((whole - one) / (whole - other))
    assert plain.value < 1 < plain.high
    assert part == pytest.approx((plain.value, plain.low, 1), rel=1e-3)
