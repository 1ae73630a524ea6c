"""Which of two spaces a third is nearer to, tested on the same images.

A difference of two similarities has its standard error by the grouped jackknife that gives the
similarities their intervals (see ``similarity.py``), over the same groups, and Student's
distribution; benchmarks/calibration.py measures how often it finds one where there is none.

Shapes: ``m`` spaces, ``k`` groups of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from string import ascii_letters
from typing import Any

import numpy as np

from latentmap.chances import holm
from latentmap.comparison.resampled import Resampled, jackknife_error
from latentmap.intervals import Estimate, defined, student_quantile

_LEVEL = 0.95
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Nearer:
    """Whether ``space`` is nearer to ``first`` than to ``second``, all by their numbers.

    ``difference`` is how much more alike ``space`` and ``first`` are, by the index; below 0 it is
    nearer to ``second``. ``p_holm`` is corrected for all such questions about one index.
    """

    space: int
    first: int
    second: int
    difference: Estimate
    p_value: float
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """All of it, the difference with ``_low`` and ``_high``; None where not defined."""
        return {
            "space": self.space,
            "first": self.first,
            "second": self.second,
            **self.difference.to_json("difference"),
            "p_value": defined(self.p_value),
            "p_holm": defined(self.p_holm),
        }


def nearer_of(resampled: Resampled, *, higher_is_alike: bool) -> list[Nearer]:
    """Each space with every two others, in order; none of fewer than three spaces."""
    sign = 1 if higher_is_alike else -1
    value, without = sign * resampled.value, sign * resampled.without
    m = len(value)
    tests = []
    for a in range(m):
        for b, c in combinations([other for other in range(m) if other != a], 2):
            value_of, without_of = (one[..., a, b] - one[..., a, c] for one in (value, without))
            difference, p_value = _tested(float(value_of), without_of)
            tests.append(Nearer(a, b, c, difference, p_value, np.nan))
    corrected = holm(np.array([one.p_value for one in tests]))
    return [replace(one, p_holm=float(p)) for one, p in zip(tests, corrected, strict=True)]


def letters_of(tests: Sequence[Nearer], space: int, alpha: float) -> dict[int, str]:
    """The compact letters of the others, by number: two of them share a letter where ``space`` is
    not found to be nearer to one than to the other (Piepho 2004). ``a`` is of the nearest.
    """
    own = [one for one in tests if one.space == space]
    others = sorted({one.first for one in own} | {one.second for one in own})
    sets = [frozenset(others)] if others else []
    for one in own:
        if not one.p_holm <= alpha:
            continue
        apart = {one.first, one.second}
        split = [part - {each} for part in sets if apart <= part for each in apart]
        sets = [part for part in sets if not apart <= part] + split
        sets = [part for part in set(sets) if not any(part < larger for larger in sets)]
    wins = {other: sum(_favours(one, other) for one in own) for other in others}
    sets.sort(key=lambda part: (-sum(wins[other] for other in part) / len(part), sorted(part)))
    return {
        other: "".join(
            letter for letter, part in zip(ascii_letters, sets, strict=False) if other in part
        )
        for other in others
    }


def _tested(value: float, without: np.ndarray) -> tuple[Estimate, float]:
    """A difference, with its values without each group, with its interval and p-value; what is
    rounding is none.
    """
    from scipy.special import stdtr

    k = len(without)
    error = float(jackknife_error(without))
    if not np.isfinite([value, error]).all():
        return Estimate(np.nan, np.nan, np.nan), np.nan
    reach = student_quantile((1 + _LEVEL) / 2, k - 1) * error
    if abs(value) <= _ROUNDING:
        p_value = 1.0
    else:
        p_value = float(2 * stdtr(k - 1, -abs(value) / error)) if error > 0 else 0.0
    return Estimate(value, value - reach, value + reach), p_value


def _favours(test: Nearer, other: int) -> bool:
    """Whether ``other`` is the nearer one of the two of a test."""
    difference = test.difference.value
    return (other == test.first and difference > 0) or (other == test.second and difference < 0)
