"""How many pairs are enough: from where on a learning curve is within 1 % of its end.

Shapes: ``s`` sizes, ``b`` resamplings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.intervals import UNDEFINED, Estimate, percentiles
from latentmap.report.words import in_percent

SHARE = 0.99
_MOST_UNDEFINED = 0.025  # Of the resamplings.


@dataclass(frozen=True)
class Enough:
    """How many ``pairs`` give 99 % of what the ``most`` pairs of a curve do, with the 95 % interval
    over images and draws; ``first`` is the smallest size, below which nothing is told. Not defined
    where the end of the curve is not above 0, or is not in more than 2.5 % of the resamplings.
    """

    pairs: Estimate
    first: int
    most: int

    def to_json(self, name: str) -> dict[str, Any]:
        """Pairs, with ``_low`` and ``_high``, and whether they are only known to be no more."""
        at_most = bool(self.pairs.value <= self.first)
        return {**self.pairs.to_json(name), f"{name}_at_most": at_most}

    def in_words(self, what: str) -> str:
        """How many pairs give 99 % of ``what``, in words.

        Example:
            >>> Enough(Estimate(64.2, 48.0, 80.9), 16, 12704).in_words("the R2")
            '64 [48, 81] pairs give 99 % of the R2 that 12,704 give'
            >>> Enough(Estimate(16.0, 16.0, 16.0), 16, 256).in_words("the R2")
            '16 pairs or fewer give 99 % of the R2 that 256 give'
        """
        value, low, high = self.pairs
        share = in_percent(SHARE)
        end = f"give {share} of {what} that {self.most:,} give"
        if not math.isfinite(value):
            return f"how many pairs give {share} of {what} is not told: it may not be above 0"
        if value <= self.first:
            up_to = "" if high <= self.first else f" (at most {high:,.0f})"
            return f"{self.first:,} pairs or fewer{up_to} {end}"
        fewer = " or fewer" if low <= self.first else ""
        return f"{value:,.0f} [{low:,.0f}{fewer}, {high:,.0f}] pairs {end}"


def enough_pairs(sizes: Sequence[int], values: np.ndarray, drawn: np.ndarray) -> Enough:
    """How many pairs are enough, from the ``values`` ``(s,)`` at growing sizes, and those in
    resamplings of images and draws, ``(b, s)``.
    """
    first, most = sizes[0], sizes[-1]
    value = first_within(sizes, values)
    found = np.array([first_within(sizes, one) for one in drawn])
    if not math.isfinite(value) or np.isnan(found).mean() > _MOST_UNDEFINED:
        return Enough(UNDEFINED, first, most)
    low, high = percentiles(found)
    return Enough(Estimate(value, min(low, value), max(high, value)), first, most)


def first_within(sizes: Sequence[int], values: np.ndarray) -> float:
    """The size from which on ``values`` ``(s,)`` are at least 99 % of the last; between two sizes
    by interpolation in 1 / size, since what a map misses for want of pairs falls as that does. The
    first size where all are; NaN where the last is not above 0.

    Example:
        >>> round(first_within([10, 20, 40], np.array([0.5, 0.98, 1.0])), 3)
        26.667
    """
    goal = SHARE * values[-1]
    if not values[-1] > 0 or not np.isfinite(values).all():
        return math.nan
    short = np.flatnonzero(values < goal)
    if not len(short):
        return float(sizes[0])
    last = int(short[-1])
    part = (goal - values[last]) / (values[last + 1] - values[last])
    least, most = 1 / sizes[last + 1], 1 / sizes[last]
    return float(1 / (most + part * (least - most)))
