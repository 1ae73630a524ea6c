"""Distances between codes of real and of generated images, against other implementations."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel

from latentmap.errors import ModelError
from latentmap.expressiveness.distances import (
    Contrast,
    _influences,
    frechet_distance,
    kernel_distance,
    plain_frechet,
)

A = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, 0.1], [0.0, 0.1, 0.5]])
B = np.array([[1.5, -0.2, 0.1], [-0.2, 1.0, 0.0], [0.1, 0.0, 0.5]])
APART = np.array([0.4, 0.0, -0.3])


def rows(chance, n, covariance=A, mean=0.0):
    return chance.multivariate_normal(np.zeros(3), covariance, n) + mean


def pair(seed, n=300, m=400):
    chance = np.random.default_rng(seed)
    return rows(chance, n), rows(chance, m, B, APART)


def tensors(*parts):
    return [torch.from_numpy(part) for part in parts]


def published(mean, a, b):
    return float(mean @ mean + np.trace(a + b - 2 * np.real(sqrtm(a @ b))))


def test_the_plain_figure_is_that_of_scipy():
    first, second = pair(0)
    expected = published(first.mean(0) - second.mean(0), np.cov(first.T), np.cov(second.T))
    assert plain_frechet(first, second) == pytest.approx(expected, rel=1e-9)


def test_an_image_contributes_what_its_weight_changes():
    first, second = pair(1, 60, 50)
    found = _influences(first, second)

    def weighted(number, of_first):
        """The figure where one image has a little more weight."""
        moments = []
        for part, more in ((first, of_first), (second, not of_first)):
            weights = np.full(len(part), 1 / len(part))
            if more:
                weights = weights * (1 - 1e-5)
                weights[number] += 1e-5
            mean = weights @ part
            # As of the unbiased covariance, of which the plain figure is.
            scale = len(part) / (len(part) - 1)
            moments.append((mean, scale * (weights * (part - mean).T) @ (part - mean)))
        (mean, a), (other, b) = moments
        return published(mean - other, a, b)

    plain = plain_frechet(first, second)
    for number in (0, 7, 20):
        for side, of_first in ((0, True), (1, False)):
            slope = (weighted(number, of_first) - plain) / 1e-5
            assert found[side][number] == pytest.approx(slope, rel=0.08, abs=0.03)


def test_the_kernel_distance_is_that_of_a_loop_over_all_pairs():
    first, second = pair(2, 40, 30)
    kernels = [
        polynomial_kernel(one, other, degree=3, gamma=1 / 3, coef0=1)
        for one, other in ((first, first), (second, second), (first, second))
    ]
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernels[:2]]
    found = kernel_distance(*tensors(first, second))
    assert found.value == pytest.approx(sum(within) - 2 * kernels[2].mean(), rel=1e-9)
    # Without an image, the figure moves by what it contributes.
    left = kernel_distance(*tensors(np.delete(first, 5, 0), second)).value
    assert (found.value - left) * 39 == pytest.approx(found.real[5], rel=0.05)


def covered(measure, truth, n_rounds=120):
    """The share of intervals that hold the truth, and the mean of the figure."""
    found = [measure(seed) for seed in range(n_rounds)]
    held = [one.low <= truth <= one.high for one in found]
    return np.mean(held), np.mean([one.value for one in found])


def test_the_intervals_of_the_frechet_distance_cover_the_truth():
    truth = published(APART, A, B)

    def measure(seed):
        return frechet_distance(*tensors(*pair(seed, 200, 200)), seed=seed).estimate()

    share, mean = covered(measure, truth)
    assert share > 0.89
    assert mean == pytest.approx(truth, rel=0.05)
    # The plain figure is too large.
    assert np.mean([plain_frechet(*pair(seed, 200, 200)) for seed in range(120)]) > mean + 0.01


def test_of_equal_distributions_the_distance_is_none():
    def both(seed):
        chance = np.random.default_rng(seed)
        return tensors(rows(chance, 200), rows(chance, 200))

    for distance in (frechet_distance, kernel_distance):
        share, mean = covered(lambda seed, of=distance: of(*both(seed)).estimate(), 0.0, 100)
        assert share > 0.89
        assert abs(mean) < 0.03


def test_the_gain_of_one_model_over_another_has_a_paired_interval():
    truth = published(APART, A, B) - published(APART / 2, A, B)

    def measure(seed):
        first, second = pair(seed, 200, 200)
        # The same noise, carried half as far.
        nearer = second - APART / 2
        parts = [frechet_distance(*tensors(first, one), seed=seed) for one in (second, nearer)]
        paired = parts[0].minus(parts[1]).estimate()
        alone = [one.estimate() for one in parts]
        assert paired.high - paired.low < 0.8 * (alone[0].high - alone[0].low)
        return paired

    share, mean = covered(measure, truth)
    assert share > 0.89
    assert mean == pytest.approx(truth, rel=0.1)


def test_images_of_one_unit_are_counted_as_one():
    first, second = pair(3, 100, 400)
    twice, units = np.repeat(first, 4, 0), np.repeat(np.arange(100), 4)
    alone = frechet_distance(*tensors(first, second)).estimate()
    found = frechet_distance(*tensors(twice, second), units=units)
    width = [one.high - one.low for one in (alone, found.estimate(units), found.estimate())]
    assert width[1] == pytest.approx(width[0], rel=0.1)
    assert width[2] < 0.8 * width[1]


def test_a_variable_without_variance_is_no_harm():
    first, second = (np.pad(part, ((0, 0), (0, 1))) for part in pair(4))
    found, plain = (frechet_distance(*tensors(*each)) for each in ((first, second), pair(4)))
    assert found.value == pytest.approx(plain.value, abs=1e-6)
    np.testing.assert_allclose(found.real, plain.real, atol=1e-5)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ModelError, match="is between codes"):
        frechet_distance(torch.zeros(9, 2), torch.zeros(9, 3))
    with pytest.raises(ModelError, match="at least 4 images of each kind, not 3 and 9"):
        kernel_distance(torch.zeros(3, 2), torch.zeros(9, 2))
    assert np.isnan(Contrast(1.0, np.zeros(4), np.zeros(1)).estimate().low)
