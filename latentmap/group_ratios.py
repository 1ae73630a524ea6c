"""Whether some images have a larger share of one error in another than the others have.

Some images are hard for any model. So what a model loses on a group is held against what another
loses there, and that against the same of the rest: a ratio of ratios of sums. Images of one unit
may be in the group and in the rest, as two photos of a person, one with a hat. What its intervals
cover, and how often its test finds what is not there, ``benchmarks/groups.py`` measures.

Shapes: ``n`` images of ``u`` units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from latentmap.intervals import UNDEFINED, Estimate, estimate_of, shares, unit_draws

FEWEST = 10  # Units of a group, and of the rest, below which nothing can be said.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class GroupRatio:
    """How many times as large the share of a group is as that of the rest, of ``n_units`` and
    ``n_other_units``; with the chance of one as far from 1 where both are the same. Neither is
    defined of fewer than ``FEWEST`` units of either.
    """

    ratio: Estimate
    p_value: float
    n_units: int
    n_other_units: int

    @property
    def has_few(self) -> bool:
        """Whether the group, or the rest, has too few units."""
        return min(self.n_units, self.n_other_units) < FEWEST


def ratio_to_rest(
    parts: np.ndarray,
    wholes: np.ndarray,
    inside: np.ndarray,
    units: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> GroupRatio:
    """The sum of ``parts`` ``(n,)`` over that of ``wholes`` ``(n,)`` of the images that are
    ``inside`` a group, booleans ``(n,)``, over the same of the others.

    The interval is by bootstrap over ``units`` ``(n,)``, without which each image is one: those
    that have an image of the group and the others are drawn apart, each with all of its images. The
    test is Welch's of the logarithm, with standard errors by jackknife over units.

    Example:
        >>> errors = np.linspace(0.9, 1.1, 40)
        >>> inside = np.arange(40) % 2 == 0
        >>> found = ratio_to_rest(np.where(inside, 2, 1) * errors, errors, inside)
        >>> round(found.ratio.value, 6), found.p_value < 0.001
        (2.0, True)
    """
    strata, n_units, n_other_units = _strata(parts, wholes, inside, units)
    undefined = GroupRatio(UNDEFINED, math.nan, n_units, n_other_units)
    if undefined.has_few:
        return undefined
    every = np.sum([one.sum(0) for one in strata], axis=0)
    value = float(_ratios(every))
    drawn = _ratios(
        np.sum([_drawn(one, seed + number) for number, one in enumerate(strata)], axis=0)
    )
    without = [_ratios(every - one) for one in strata]
    ratio = estimate_of(value, drawn, without)
    if not value > 0 or not math.isfinite(ratio.value):
        return undefined
    return GroupRatio(ratio, _chance(value, without), n_units, n_other_units)


def _strata(
    parts: np.ndarray, wholes: np.ndarray, inside: np.ndarray, units: np.ndarray | None
) -> tuple[list[np.ndarray], int, int]:
    """Sums of each unit ``(u, 4)``, of parts and wholes of the group and of the rest: units that
    have an image of the group, and the others; and how many units the group and the rest have.
    Others that are too few to be drawn by themselves are drawn with the first.
    """
    numbers = np.arange(len(parts))
    if units is not None:
        _, numbers = np.unique(units, return_inverse=True)
    rows = [row * where for where in (inside, ~inside) for row in (parts, wholes)]
    sums = np.stack([np.bincount(numbers, row) for row in rows], axis=1)
    mine, others = (
        np.bincount(numbers, where, minlength=len(sums)) > 0 for where in (inside, ~inside)
    )
    counts = int(mine.sum()), int(others.sum())
    if 0 < (~mine).sum() < FEWEST and counts[1] >= FEWEST:
        return [sums], *counts
    return [part for part in (sums[mine], sums[~mine]) if len(part)], *counts


def _drawn(sums: np.ndarray, seed: int) -> np.ndarray:
    """The sums ``(b, 4)`` over units that are drawn with replacement."""
    return np.concatenate([counts @ sums for counts in unit_draws(len(sums), seed=seed)])


def _ratios(sums: np.ndarray) -> np.ndarray:
    part, whole, other_part, other_whole = np.moveaxis(sums, -1, 0)
    return shares(shares(part, whole), shares(other_part, other_whole))


def _chance(value: float, without: list[np.ndarray]) -> float:
    """The p-value of a ratio by its values ``without`` each unit ``(u,)`` of each stratum."""
    from scipy.special import stdtr

    away = abs(math.log(value))
    if away <= _ROUNDING:
        return 1.0
    variances, degrees = [], []
    for values in without:
        if not (values > 0).all():
            return math.nan
        u, logs = len(values), np.log(values)
        variances.append((u - 1) / u * float(np.square(logs - logs.mean()).sum()))
        degrees.append(u - 1)
    total = sum(variances)
    if total <= _ROUNDING**2:
        return 0.0
    freedom = total**2 / sum(v**2 / d for v, d in zip(variances, degrees, strict=True))
    return float(2 * stdtr(freedom, -away / math.sqrt(total)))
