import math

import numpy as np
import pytest

from latentmap.expressiveness.ratios import ratio_of_shares
from latentmap.group_ratios import ratio_to_rest


def drawn(n=120, n_inside=40, seed=0):
    """Errors, what they are held against, and which are of the group."""
    generator = np.random.default_rng(seed)
    hard = generator.lognormal(0, 0.5, n)
    parts, wholes = hard * generator.lognormal(0, 0.3, n), hard * generator.lognormal(0, 0.2, n)
    return parts, wholes, np.arange(n) < n_inside


def test_of_images_of_their_own_it_is_that_of_two_samples():
    parts, wholes, inside = drawn()
    found = ratio_to_rest(parts, wholes, inside, seed=3)
    expected = ratio_of_shares(
        (parts[inside], wholes[inside]), (parts[~inside], wholes[~inside]), seed=3
    )
    assert found.ratio == pytest.approx(expected)
    assert (found.n_units, found.n_other_units, found.has_few) == (40, 80, False)


def test_the_rest_has_the_reverse():
    parts, wholes, inside = drawn()
    one, other = (ratio_to_rest(parts, wholes, where) for where in (inside, ~inside))
    assert one.ratio.value == pytest.approx(1 / other.ratio.value)
    assert one.ratio.low == pytest.approx(1 / other.ratio.high, rel=0.02)
    assert one.p_value == pytest.approx(other.p_value, rel=1e-6)


def test_neither_scale_nor_order_change_it():
    parts, wholes, inside = drawn()
    order = np.random.default_rng(5).permutation(len(parts))
    found = ratio_to_rest(parts, wholes, inside)
    scaled = ratio_to_rest(7 * parts, 3 * wholes, inside)
    assert scaled.ratio == pytest.approx(found.ratio)
    assert scaled.p_value == pytest.approx(found.p_value)
    shuffled = ratio_to_rest(parts[order], wholes[order], inside[order])
    assert shuffled.ratio.value == pytest.approx(found.ratio.value)
    assert shuffled.p_value == pytest.approx(found.p_value)


def test_the_test_is_that_of_welch_where_errors_hardly_vary():
    """The logarithm is a line then, and the jackknife of a mean gives its variance."""
    from scipy.stats import ttest_ind

    generator = np.random.default_rng(1)
    inside = np.arange(90) < 30
    parts = 1 + 1e-5 * generator.normal(size=90) * np.where(inside, 2, 1) + 3e-6 * inside
    found = ratio_to_rest(parts, np.ones(90), inside)
    expected = ttest_ind(parts[inside], parts[~inside], equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-3)


def test_copies_of_images_tell_no_more():
    parts, wholes, inside = drawn()
    found = ratio_to_rest(parts, wholes, inside, seed=1)
    twice = [np.tile(one, 2) for one in (parts, wholes, inside, np.arange(len(parts)))]
    again = ratio_to_rest(*twice, seed=1)
    assert again.ratio == pytest.approx(found.ratio)
    assert again.p_value == pytest.approx(found.p_value)


def test_what_all_images_of_a_person_share_is_not_counted_twice():
    """With a photo of each kind of everybody, that some are hard for the map says nothing."""
    generator = np.random.default_rng(2)
    person = np.repeat(np.arange(60), 2)
    hard = generator.lognormal(0, 1, 60)[person] * generator.lognormal(0, 0.01, 120)
    inside = np.arange(120) % 2 == 0
    one = ratio_to_rest(hard, np.ones(120), inside, person)
    apart = ratio_to_rest(hard, np.ones(120), inside)
    assert one.ratio.value == apart.ratio.value
    assert one.ratio.high - one.ratio.low < 0.1 * (apart.ratio.high - apart.ratio.low)


def test_a_few_units_without_the_group_are_drawn_with_the_others():
    parts, wholes, _ = drawn()
    person = np.minimum(np.arange(120) // 2, 57)
    inside = (np.arange(120) % 2 == 0) & (person < 56)
    found = ratio_to_rest(parts, wholes, inside, person)
    assert (found.n_units, found.n_other_units) == (56, 58)
    assert found.ratio.low < found.ratio.value < found.ratio.high


@pytest.mark.parametrize("n_inside", [0, 9, 111, 120])
def test_of_few_nothing_is_said(n_inside):
    found = ratio_to_rest(*drawn(n_inside=n_inside))
    assert found.has_few
    assert math.isnan(found.ratio.value) and math.isnan(found.p_value)


def test_over_nothing_there_is_no_ratio():
    parts, _, inside = drawn()
    for pair in ((parts, np.zeros(120)), (np.zeros(120), parts), (parts * np.nan, parts)):
        found = ratio_to_rest(*pair, inside)
        assert not found.has_few
        assert math.isnan(found.ratio.value) and math.isnan(found.p_value)


def test_equal_errors_are_equal():
    ones, inside = np.ones(60), np.arange(60) < 20
    equal = ratio_to_rest(ones, ones, inside)
    assert (equal.ratio.value, equal.p_value) == (1, 1)
    assert ratio_to_rest(1.0 + inside, ones, inside).p_value == 0
