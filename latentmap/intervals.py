"""Intervals of figures that are means over images, by bootstrap.

Shapes: ``n`` images, ``k`` quantities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

_LEVEL = 0.95
_RESAMPLED_NUMBERS = 4_000_000  # Random numbers at a time: 32 MB.


class Estimate(NamedTuple):
    """A figure with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float

    def to_json(self, name: str) -> dict[str, float | None]:
        """The three numbers by a name, with ``_low`` and ``_high``; None where not defined.

        Example:
            >>> Estimate(0.5, 0.25, math.nan).to_json("r2")
            {'r2': 0.5, 'r2_low': 0.25, 'r2_high': None}
        """
        names = (name, f"{name}_low", f"{name}_high")
        return dict(zip(names, map(defined, self), strict=True))

    @classmethod
    def from_json(cls, record: Mapping[str, Any], name: str) -> Estimate:
        """What ``to_json`` gave.

        Raises:
            KeyError: one of the numbers is missing.
        """
        numbers = (record[name], record[f"{name}_low"], record[f"{name}_high"])
        return cls(*(math.nan if number is None else float(number) for number in numbers))


def defined(number: float) -> float | None:
    """The number, or None where it is not finite."""
    return float(number) if math.isfinite(number) else None


def mean_estimate(errors: np.ndarray, *, seed: int = 0, n_bootstrap: int = 1000) -> Estimate:
    """The mean of ``errors`` ``(n,)``, with the percentiles of its bootstrap resamplings.

    It is not defined where there are none.
    """
    if not len(errors):
        return Estimate(math.nan, math.nan, math.nan)
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
