"""Intervals of figures that are means over images, by bootstrap.

Shapes: ``n`` images, ``k`` quantities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_LEVEL = 0.95
_RESAMPLED_NUMBERS = 4_000_000  # Random numbers at a time: 32 MB.


class Estimate(NamedTuple):
    """A figure with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def mean_estimate(errors: np.ndarray, *, seed: int = 0, n_bootstrap: int = 1000) -> Estimate:
    """The mean of ``errors`` ``(n,)``, with the percentiles of its bootstrap resamplings."""
    means = np.concatenate(list(resample(errors[None], n_bootstrap, seed=seed)))
    return Estimate(float(errors.mean()), *interval(means))


def resample(errors: np.ndarray, n_bootstrap: int, *, seed: int = 0) -> Iterator[np.ndarray]:
    """Means over images of ``errors`` ``(k, n)`` in bootstrap resamplings, ``(k,)`` each."""
    n = errors.shape[1]
    generator = np.random.default_rng(seed)
    step = max(1, _RESAMPLED_NUMBERS // n)
    for start in range(0, n_bootstrap, step):
        rounds = min(step, n_bootstrap - start)
        # How often each image is drawn, for many rounds at once, as one count over (round, image).
        drawn = generator.integers(0, n, (rounds, n)) + n * np.arange(rounds)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rounds * n).reshape(rounds, n)
        yield from counts @ errors.T / n


def interval(resampled: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of resampled figures; those that are not finite are left out."""
    finite = resampled[np.isfinite(resampled)]
    if not len(finite):
        return (math.nan, math.nan)
    low, high = np.quantile(finite, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return (float(low), float(high))
