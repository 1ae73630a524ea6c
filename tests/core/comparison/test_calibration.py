import numpy as np
import pytest

from latentmap.comparison.calibration import (
    calibrated,
    enough_permutations,
    holm_over_pairs,
    least_permutations,
    thresholds,
)


def of(*values):
    return np.array(values, dtype=float).reshape(-1, 1, 1)


def test_a_threshold_is_the_value_that_a_small_p_value_passes():
    null = np.random.default_rng(0).normal(size=(59, 3, 3))
    for alpha in (0.05, 0.1, 0.5):
        for sign in (1, -1):
            threshold = thresholds(null, alpha, higher_is_alike=sign == 1)
            for value in np.random.default_rng(1).normal(size=(50, 3, 3)) * 2:
                p_value = (1 + (sign * null >= sign * value).sum(0)) / 60
                assert ((sign * value > sign * threshold) == (p_value <= alpha + 1e-12)).all()


def test_the_threshold_of_nineteen_pairings_is_the_largest():
    null = of(*range(19))
    assert thresholds(null, 0.05, higher_is_alike=True) == 18
    assert thresholds(null, 0.05, higher_is_alike=False) == 0
    assert thresholds(null, 0.1, higher_is_alike=True) == 17


def test_too_few_pairings_and_undefined_ones_have_no_threshold():
    assert np.isnan(thresholds(of(*range(18)), 0.05, higher_is_alike=True)).all()
    assert np.isnan(thresholds(of(*range(18), np.nan), 0.05, higher_is_alike=True)).all()


def test_calibrated_values_go_from_the_threshold_to_equal_spaces():
    values = np.array([-0.5, 0.2, 0.6, 1.0])
    assert calibrated(values, np.array(0.2), 1.0) == pytest.approx([0, 0, 0.5, 1])


def test_distances_are_calibrated_the_other_way_round():
    values = np.array([0.0, 0.2, 0.8, 1.0])
    assert calibrated(values, np.array(0.8), 0.0) == pytest.approx([1, 0.75, 0, 0])


def test_what_has_no_room_above_chance_is_zero_and_the_undefined_stays():
    assert calibrated(np.array([1.0]), np.array([1.0]), 1.0) == 0
    assert np.isnan(calibrated(np.array([np.nan, 0.5]), np.array([0.5, np.nan]), 1.0)).all()


def test_holm_counts_symmetric_pairs_once():
    p_values = np.array([[np.nan, 0.01, 0.5], [0.01, np.nan, 0.02], [0.5, 0.02, np.nan]])
    once = holm_over_pairs(p_values, symmetric=True)
    assert (once[0, 1], once[1, 0], once[1, 2]) == (0.03, 0.03, 0.04)
    twice = holm_over_pairs(p_values, symmetric=False)
    assert (twice[0, 1], twice[1, 0], twice[1, 2]) == pytest.approx((0.06, 0.06, 0.08))
    assert np.isnan([once.diagonal(), twice.diagonal()]).all()


def test_as_many_permutations_as_are_enough_can_pass_and_one_fewer_cannot():
    for spaces in (3, 6, 8):
        for alpha in (0.05, 0.1, 0.06):
            enough = enough_permutations(spaces, alpha)
            pairs = spaces * (spaces - 1)
            assert pairs / (enough + 1) <= alpha + 1e-12
            assert enough == 99 or pairs / enough > alpha
    assert enough_permutations(50, 0.05) == 1999


def test_the_fewest_permutations_have_a_quantile():
    for alpha in (0.5, 0.05, 0.01, 0.001, 0.03):
        least = least_permutations(alpha)
        assert not np.isnan(thresholds(of(*range(least)), alpha, higher_is_alike=True)).any()
        assert np.isnan(thresholds(of(*range(least - 1)), alpha, higher_is_alike=True)).all()
