import math

import numpy as np
import pytest
from scipy.stats import bootstrap
from scipy.stats import t as student

from latentmap.intervals import UNDEFINED, Estimate, estimate_of, mean_estimate, resample, shares


def covered(draw, truth, *, n, rounds=400):
    """In how many of some draws, in percent, the interval of the mean holds the truth."""
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(rounds):
        found = mean_estimate(draw(generator, n), seed=seed)
        held += found.low <= truth <= found.high
    return 100 * held / rounds


@pytest.mark.parametrize(
    ("draw", "truth", "n", "least"),
    [
        # What benchmarks/coverage.py gives, less four standard errors of 400 draws (4.4 at 95 %).
        (lambda g, n: g.normal(5, 1, n), 5.0, 10, 90),
        (lambda g, n: g.normal(5, 1, n), 5.0, 50, 90),
        (lambda g, n: g.lognormal(0, 1, n), math.exp(0.5), 10, 82),
        (lambda g, n: g.lognormal(0, 1, n), math.exp(0.5), 50, 87),
    ],
)
def test_intervals_cover_what_they_promise(draw, truth, n, least):
    assert covered(draw, truth, n=n) >= least


def test_images_of_a_unit_are_drawn_together():
    generator = np.random.default_rng(0)
    alone = generator.lognormal(0, 1, 60)
    copies, units = np.repeat(alone, 5), np.repeat(np.arange(60), 5)
    shuffled = generator.permutation(300)
    expected = mean_estimate(alone, seed=3)
    found = mean_estimate(copies, units, seed=3)
    assert found == pytest.approx(expected, rel=1e-12)
    # Which number a unit has, and where its images stand, only changes the draw.
    other = mean_estimate(copies[shuffled], 7 * units[shuffled], seed=3)
    assert other.value == pytest.approx(expected.value)
    assert (other.high - other.low) / (expected.high - expected.low) == pytest.approx(1, abs=0.15)
    naive = mean_estimate(copies, seed=3)
    assert naive.high - naive.low < 0.6 * (found.high - found.low)


def test_a_mean_over_units_of_unequal_sizes_is_a_ratio_of_their_sums():
    rows = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    units = np.array([0, 1, 1, 2, 2, 2])
    found = resample(rows, units, seed=0, n_bootstrap=50)
    assert found.every == pytest.approx([3.5])
    assert found.without[:, 0] == pytest.approx([20 / 5, 16 / 4, 6 / 3])
    sums, sizes = np.array([1.0, 5, 15]), np.array([1.0, 2, 3])
    possible = {
        round((sums * c).sum() / (sizes * c).sum(), 9)
        for c in np.array([(a, b, 3 - a - b) for a in range(4) for b in range(4 - a)])
    }
    assert {round(float(one), 9) for one in found.drawn[:, 0]} <= possible
    assert found.means.shape == (1 + 50 + 3, 1)


def test_intervals_are_those_of_scipy_but_for_their_wider_levels():
    data = np.random.default_rng(1).lognormal(0, 1, 40)
    # The level at which a normal quantile is Student's, times the root of n / (n - 1).
    reach = math.sqrt(40 / 39) * student.ppf(0.975, 39)
    level = math.erf(reach / math.sqrt(2))
    other = bootstrap((data,), np.mean, confidence_level=level, n_resamples=20_000, rng=0)
    found = np.mean([mean_estimate(data, seed=seed) for seed in range(20)], axis=0)
    width = other.confidence_interval.high - other.confidence_interval.low
    assert found[1] == pytest.approx(other.confidence_interval.low, abs=0.05 * width)
    assert found[2] == pytest.approx(other.confidence_interval.high, abs=0.05 * width)


def test_what_is_not_defined_has_no_interval():
    assert all(math.isnan(one) for one in Estimate(math.nan, 0.58, 0.59))
    assert Estimate(math.inf, 0.0, 1.0).to_json("a") == {"a": None, "a_low": None, "a_high": None}
    assert Estimate.from_json({"a": None, "a_low": 0.5, "a_high": 0.5}, "a").to_json("a") == {
        "a": None,
        "a_low": None,
        "a_high": None,
    }
    assert mean_estimate(np.empty(0)) is UNDEFINED


def test_one_unit_has_no_interval():
    for errors, units in ((np.array([0.5]), None), (np.full(4, 0.5), np.zeros(4, np.int64))):
        value, low, high = mean_estimate(errors, units)
        assert (value, math.isnan(low), math.isnan(high)) == (0.5, True, True)


def test_a_share_of_what_cannot_be_told_from_nothing_is_not_defined():
    generator = np.random.default_rng(0)
    parts, wholes = generator.normal(1, 1, 100), generator.normal(0.1, 1, 100)
    found = resample(np.stack([parts, wholes]), seed=0)
    ratio = shares(found.means[:, 0], found.means[:, 1])
    assert 0 < np.isnan(ratio).mean() < 0.5
    assert all(map(math.isnan, found.estimate(ratio)))
    sure = resample(np.stack([parts, wholes + 2]), seed=0)
    assert all(map(math.isfinite, sure.estimate(shares(sure.means[:, 0], sure.means[:, 1]))))


def test_equal_errors_have_no_width_and_the_value_is_within():
    assert mean_estimate(np.full(9, 0.6), seed=0) == pytest.approx((0.6, 0.6, 0.6), rel=1e-12)
    for seed in range(30):
        errors = np.random.default_rng(seed).lognormal(0, 3, 4)
        found = mean_estimate(errors, seed=seed)
        assert errors.min() <= found.low <= found.value <= found.high <= errors.max()


def test_a_seed_gives_the_same_and_blocks_of_draws_change_nothing(monkeypatch):
    errors = np.random.default_rng(0).lognormal(0, 1, 70)
    whole = mean_estimate(errors, seed=5)
    assert mean_estimate(errors, seed=5) == whole
    assert mean_estimate(errors, seed=6) != whole
    monkeypatch.setattr("latentmap.intervals._RESAMPLED_NUMBERS", 700)
    assert mean_estimate(errors, seed=5) == whole


def test_acceleration_is_of_all_samples():
    # Two samples: the ratio of their means; equal ones have no skewness together.
    drawn = np.linspace(0.5, 1.5, 1001)
    without = [np.array([0.9, 1.0, 1.1]), np.array([0.8, 1.0, 1.2])]
    value, low, high = estimate_of(1.0, drawn, without)
    assert value - low == pytest.approx(high - value)
