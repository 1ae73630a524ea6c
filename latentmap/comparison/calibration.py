"""How far a similarity is above what unrelated spaces have, and tests that count all pairs.

Shapes: ``m`` spaces, ``b`` random pairings of their images.
"""

from __future__ import annotations

import math

import numpy as np

from latentmap.chances import holm

_FEWEST_BY_DEFAULT = 99
_MOST_BY_DEFAULT = 1999


def enough_permutations(spaces: int, alpha: float) -> int:
    """So many random pairings that Holm's correction over all ordered pairs can find a similarity
    of so many ``spaces`` at the level ``alpha``; 99 at least, 1,999 at most.

    The least p-value of ``b`` pairings is ``1 / (b + 1)``, of which Holm's correction makes so many
    times more as there are pairs.

    Example:
        >>> enough_permutations(2, 0.05), enough_permutations(6, 0.05)
        (99, 599)
    """
    needed = math.ceil(round(spaces * (spaces - 1) / alpha, 6)) - 1
    return min(max(needed, _FEWEST_BY_DEFAULT), _MOST_BY_DEFAULT)


def least_permutations(alpha: float) -> int:
    """The fewest random pairings that have a quantile ``1 - alpha``: one of them may be above it.

    Example:
        >>> least_permutations(0.05)
        19
    """
    return math.ceil(round(1 / alpha, 6)) - 1


def thresholds(null: np.ndarray, alpha: float, *, higher_is_alike: bool) -> np.ndarray:
    """What a similarity has to pass for a p-value of at most ``alpha``, ``(m, m)``: of the ``b``
    values of the ``null`` ``(b, m, m)`` the ``floor(alpha (b + 1))``-th that is most alike.

    That is the order statistic of Groeger, Wen and Brbic (2026). NaN where the null is not defined,
    and of fewer than ``least_permutations``.
    """
    place = math.floor(round(alpha * (len(null) + 1), 6))
    if place < 1:
        return np.full(null.shape[1:], np.nan)
    ordered = np.sort(-null if higher_is_alike else null, axis=0)
    found: np.ndarray = ordered[place - 1]
    unknown = np.isnan(null).any(0)
    return np.where(unknown, np.nan, -found if higher_is_alike else found)


def calibrated(values: np.ndarray, threshold: np.ndarray, same: float) -> np.ndarray:
    """``(s - t) / (s_same - t)``, at least 0: 1 for equal spaces, 0 for what is no more alike than
    the threshold ``t`` of unrelated ones (Groeger, Wen and Brbic 2026).

    For a distance, whose ``same`` is 0, that is ``(t - s) / t``. 0 where unrelated spaces may be
    as alike as equal ones.
    """
    room = same - threshold
    nothing = np.where(np.isnan(values) | np.isnan(threshold), np.nan, 0.0)
    found = np.divide(values - threshold, room, out=nothing, where=room != 0)
    clipped: np.ndarray = np.clip(found, 0.0, 1.0)
    return clipped


def holm_over_pairs(p_values: np.ndarray, *, symmetric: bool) -> np.ndarray:
    """The p-values ``(m, m)`` corrected for the number of pairs: each counts once where it is the
    same in both directions, else twice. The diagonal stays NaN.
    """
    corrected = np.full_like(p_values, np.nan)
    upper = np.triu_indices(len(p_values), 1)
    if symmetric:
        corrected[upper] = holm(p_values[upper])
        corrected.T[upper] = corrected[upper]
        return corrected
    apart = ~np.eye(len(p_values), dtype=bool)
    corrected[apart] = holm(p_values[apart])
    return corrected
