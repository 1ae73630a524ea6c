"""Travel: whether the codes that a map is scored on are like those that it was fitted on.

A map that was fitted on images of one kind may be of no use for another, and its R2 fall below 0.

Shapes: ``n`` images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import Codes, units_of
from latentmap.images import ImageSource
from latentmap.images.finding import groups_of
from latentmap.intervals import UNDEFINED, Estimate, defined, student_quantile
from latentmap.mapping import LinearMap
from latentmap.mapping.typicality import INSIDE
from latentmap.relocation.distances import HELD, Distances, distances_of, not_known
from latentmap.report.words import in_percent, share_in_words

_QUANTILES = (0.05, 0.5, 0.95)
# The part of the distances, above which what lies along no fitted direction is told.
_OFF = 1e-3


@dataclass(frozen=True, eq=False)
class Travel:
    """How far the source codes of some images are from those that a map was fitted on.

    ``outside`` is the share of them, with its 95 % interval, beyond the distance within which 99 %
    of codes of the kind of the fit are; not defined where the ``distances`` say why.
    """

    outside: Estimate
    distances: Distances

    def to_json(self) -> dict[str, Any]:
        """The share outside, the limit, and the 5, 50 and 95 % quantiles over the images of the
        distances and of the shares of fitted codes that are nearer; None where not known.
        """
        found = self.distances.found
        return {
            **self.outside.to_json("outside"),
            "limit": None if found is None else defined(found.limit),
            "distances": None if found is None else _quantiles(found.distances),
            "nearer": None if found is None else _quantiles(found.nearer),
            "off": None if found is None else float(found.off.mean()),
            "rule": None if found is None else found.rule,
            "reason": self.distances.reason or None,
        }


def travels_of(maps: Sequence[LinearMap], codes: Codes, images: ImageSource) -> list[Travel]:
    """How far the source ``codes`` ``(n, p)`` of some of the ``images`` are from those of the fit
    of each map. Maps of the same pairs share one pass over the codes.
    """
    units = units_of(codes.digests, groups_of(images, codes.ids))
    # Of one fit with several methods the means are one tensor.
    known: dict[int, Travel] = {}
    result = []
    for one in maps:
        key = id(one) if one.moments is None else id(one.moments.mean_x)
        if key not in known:
            known[key] = _travel_of(one, codes, units)
        result.append(known[key])
    return result


def travel_in_words(travel: Travel) -> str:
    """What is to be said below scores: how many codes are outside, and what follows."""
    found = travel.distances.found
    if found is None or not math.isfinite(travel.outside.value):
        return not_known(travel.distances.reason)
    said = (
        f"{share_in_words(travel.outside)} of these source codes are farther out than {HELD} of "
        "codes like those of the fit, and the median one than "
        f"{in_percent(float(np.median(found.nearer)))}"
    )
    if travel.outside.low > 1 - INSIDE:
        said += "; the map was not fitted for these, and R2 may be below 0"
    off = float(found.off.mean())
    if off > _OFF:
        said += (
            f"; {in_percent(off, 1)} of their squared distance is along what did not "
            "vary in the fit, which counts for nothing"
        )
    return said


def share_estimate(among: np.ndarray, units: np.ndarray) -> Estimate:
    """The share of images that are ``among`` some, ``(n,)`` of 0 and 1, with a 95 % interval.

    By Wilson (1927), which is right of shares near 0 as well, where a bootstrap has no width. Of
    several images of one of the ``units`` ``(n,)`` so many count as give the variance of their mean
    (Korn and Graubard 1998). One unit has no interval.

    Example:
        >>> found = share_estimate(np.zeros(100), np.arange(100))
        >>> [round(number, 3) for number in found]
        [0.0, 0.0, 0.037]
    """
    share, n = float(among.mean()), len(among)
    u = len(np.unique(units))
    if u < 2:
        return Estimate(share, math.nan, math.nan)
    count, reach = float(n), student_quantile(0.975, math.inf)
    if u < n:
        _, numbers = np.unique(units, return_inverse=True)
        sums = np.bincount(numbers, among - share)
        variance = u / (u - 1) * float(np.square(sums).sum()) / n**2
        # All or none: their units may be of one mind.
        count = min(share * (1 - share) / variance, n) if variance > 0 else float(u)
        reach = student_quantile(0.975, u - 1)
    squared = reach**2 / count
    middle = (share + squared / 2) / (1 + squared)
    half = reach / (1 + squared) * math.sqrt((share * (1 - share) + squared / 4) / count)
    return Estimate(share, max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0))


def _travel_of(linear_map: LinearMap, codes: Codes, units: np.ndarray) -> Travel:
    distances = distances_of(linear_map, codes)
    outside = distances.outside
    return Travel(UNDEFINED if outside is None else share_estimate(outside, units), distances)


def _quantiles(values: np.ndarray) -> dict[str, float | None]:
    found = np.quantile(values, _QUANTILES)
    return {f"{share:g}": defined(value) for share, value in zip(_QUANTILES, found, strict=True)}
