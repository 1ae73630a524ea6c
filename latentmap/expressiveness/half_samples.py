"""Intervals of figures that no mean over images gives, such as those of neighbours: by halves of
the samples (Politis & Romano 1994, for disjoint subsamples).

A bootstrap would draw images twice, and a copy is its own nearest neighbour; what a jackknife says
of neighbours is twice too wide. Shapes: ``n`` images, ``f`` figures, ``s`` splits into halves.
"""

from __future__ import annotations

import math

import numpy as np

from latentmap.intervals import Estimate, student_quantile

SPLITS = 10


def halves(
    n: int, units: np.ndarray | None, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The positions of ``n`` images in two random halves; those of a unit ``(n,)`` stay together,
    but for the one in the middle.
    """
    numbers = np.arange(n) if units is None else np.unique(units, return_inverse=True)[1]
    order = np.argsort(chance.permutation(numbers.max() + 1)[numbers], kind="stable")
    return order[: n // 2], order[n // 2 :]


def by_halves(
    value: float, first: np.ndarray, second: np.ndarray, *, high: float = math.inf
) -> Estimate:
    """A figure from 0 to ``high`` with its 95 % interval, from its values ``(s,)`` in the first
    and in the second halves; there is no interval where one is not finite.
    """
    kept, reach = min(value, high), _quantile() * math.sqrt(_variance(first, second))
    if not math.isfinite(reach):
        return Estimate(kept, math.nan, math.nan)
    return Estimate(kept, min(max(value - reach, 0.0), kept), min(value + reach, high))


def share_by_halves(share: float, n: int, first: np.ndarray, second: np.ndarray) -> Estimate:
    """A share of ``n`` images with its 95 % interval, which is not empty at 0 and 1: Wilson's
    (1927), of as many images as would have the variance of the halves, and of ``n`` at most.
    """
    variance = _variance(first, second)
    if not math.isfinite(variance):
        return Estimate(share, math.nan, math.nan)
    known = (share * n + 2) / (n + 4)  # Two more of each kind (Agresti & Coull 1998).
    size = min(known * (1 - known) / variance, n) if variance > 0 else n
    z = _quantile() ** 2 / size
    middle, reach = share + z / 2, math.sqrt(z * share * (1 - share) + z * z / 4)
    low, high = ((middle + side * reach) / (1 + z) for side in (-1, 1))
    return Estimate(share, min(max(low, 0.0), share), max(min(high, 1.0), share))


def _variance(first: np.ndarray, second: np.ndarray) -> float:
    """That of a figure: a quarter of the mean squared difference of its values in two halves."""
    return float(np.square(first - second).mean()) / 4 if len(first) else math.nan


def _quantile() -> float:
    """Student's: the differences of so many random halves are about independent."""
    return student_quantile(0.975, SPLITS)
