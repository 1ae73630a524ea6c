"""Counts of sectors beside what the prior expects."""

import numpy as np
import pytest
from scipy import stats

from latentmap.codes import Codes, Space
from latentmap.support import choose_support_set
from latentmap.support.occupancy import chi_square, occupancy_of


def support_of(vectors, *, kind="z", k=3, threshold=0.5):
    vectors = np.asarray(vectors, dtype=np.float32)
    space = Space(kind, vectors.shape[1], "a", "aa")
    codes = Codes.from_array(np.arange(len(vectors)).astype(str), vectors, space=space)
    return choose_support_set(codes, variables=range(k), threshold=threshold, size=2**k, seed=0)


def gaussian(n=3000, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_the_expectation_is_the_product_of_normal_tails():
    occupancy = occupancy_of(support_of(gaussian()))
    assert occupancy.expected == pytest.approx(3000 * (1 - stats.norm.cdf(0.5)) ** 3)
    assert occupancy.n == 3000
    assert occupancy_of(support_of(gaussian()), threshold=0).expected == pytest.approx(3000 / 8)


def test_the_test_accepts_the_prior_and_finds_another_distribution():
    values = [occupancy_of(support_of(gaussian(seed=seed))).test.p_value for seed in range(40)]
    assert np.mean(np.array(values) < 0.05) < 0.2
    assert stats.kstest(values, "uniform").pvalue > 0.001
    narrow = occupancy_of(support_of(0.7 * gaussian()))
    assert narrow.test.p_value < 1e-6
    assert narrow.test.excess > 2
    tied = gaussian()
    tied[:, 1] = tied[:, 0] + 0.5 * tied[:, 1]
    assert occupancy_of(support_of(tied), threshold=0).test.p_value < 1e-6


def test_a_space_without_prior_is_compared_with_independent_normal_variables():
    moved = gaussian() * [3, 0.1, 1, 1] + 5
    occupancy = occupancy_of(support_of(moved, kind="w"))
    assert occupancy.fitted
    assert occupancy.test.p_value > 1e-3
    assert occupancy.test.freedom == 9 - 1 - 6
    assert occupancy.to_json()["reference"] == "independent normal"


def test_without_merging_the_test_is_pearsons():
    counts, expected = np.array([18, 25, 57]), np.array([20.0, 30.0, 50.0])
    test = chi_square(counts, expected)
    statistic = 4 / 20 + 25 / 30 + 49 / 50
    assert test.statistic == pytest.approx(statistic)
    assert test.p_value == pytest.approx(stats.chi2.sf(statistic, 2))
    assert (test.freedom, test.cells) == (2, 3)


def test_small_cells_are_merged_and_the_rest_joins_the_last():
    counts = np.array([50, 3, 1, 4, 2, 1])
    expected = np.array([44.0, 3, 3, 3, 3, 3])
    test = chi_square(counts, expected)
    assert test.cells == 3
    assert test.statistic == pytest.approx(
        chi_square(np.array([50, 4, 7]), np.array([44.0, 6, 9])).statistic
    )


def test_too_few_members_leave_no_test():
    occupancy = occupancy_of(support_of(gaussian(100), threshold=1.4))
    assert occupancy.test is None
    assert occupancy.to_json()["chi_square"] is None


def test_all_images_are_counted_in_or_outside_the_sectors():
    support = support_of(gaussian())
    occupancy = occupancy_of(support)
    record = occupancy.to_json()
    assert record["members"] == support.occupancy.sum() < record["n"]
    assert record["chi_square"]["cells"] == 9


def test_a_p_value_below_the_smallest_number_is_not_zero():
    assert chi_square(np.array([10000, 0]), np.array([5e3, 5e3])).p_text == "p < 1e-300"
    assert chi_square(np.array([60, 40]), np.array([50.0, 50.0])).p_text == "p = 0.046"
