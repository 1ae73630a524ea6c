"""The threshold of sectors that balances how far apart they are with how many have members.

Shapes: ``n`` images, ``k`` leading variables, ``2^k`` sectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import Codes
from latentmap.support.centers import Center
from latentmap.support.sectors import Sectors, reach_of, sector_numbers

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(16))


# Of the largest balance; more of it costs members for little.
_ENOUGH = 0.9


@dataclass(frozen=True)
class Candidate:
    """What a threshold would give.

    ``occupied`` sectors have one of ``members`` images. ``spread`` is the mean squared distance
    between the images that stand for two different sectors, along the leading variables, in units
    of that between two random images: random members, or where a sector has none the image that
    reaches furthest into it, unless the set is strict. ``balance`` is the share of sectors that an
    image stands for, times the spread.
    """

    threshold: float
    occupied: int
    members: int
    spread: float
    balance: float


@dataclass(frozen=True)
class ThresholdChoice:
    """The lowest threshold with nearly the best balance, and all that were tried."""

    threshold: float
    candidates: tuple[Candidate, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """Every candidate."""
        return [vars(candidate) for candidate in self.candidates]


def choose_threshold(
    codes: Codes, variables: Sequence[int], *, center: Center = "mean", strict: bool = False
) -> ThresholdChoice:
    """The lowest threshold from 0 to 1.5 whose balance is at least 90 % of the largest.

    A higher one moves sectors apart, and empties them. An empty sector has no image where the set
    is ``strict``; else it has the one that reaches furthest into it, which may lie anywhere.

    Raises:
        SupportError: as ``Sectors.of`` raises it.
    """
    sectors = Sectors.of(codes, variables, threshold=0, center=center)
    places = _Places.of(sectors.coordinates(codes), None if strict else sectors)
    tried = tuple(places.candidate(threshold) for threshold in THRESHOLDS)
    enough = _ENOUGH * max(one.balance for one in tried)
    return ThresholdChoice(next(o.threshold for o in tried if o.balance >= enough), tried)


@dataclass(frozen=True, eq=False)
class _Places:
    """Codes by their coordinates ``(n, k)``, the numbers of their sectors and their reach into
    these ``(n,)``; and the places that reach furthest into each sector ``(2^k, k)``, where these
    may stand for it.
    """

    coordinates: np.ndarray
    numbers: np.ndarray
    reach: np.ndarray
    furthest: np.ndarray | None

    @classmethod
    def of(cls, coordinates: np.ndarray, relaxed: Sectors | None) -> _Places:
        numbers = sector_numbers(coordinates)
        reach = np.abs(coordinates).min(axis=1)
        if relaxed is None:
            return cls(coordinates, numbers, reach, None)
        # Of a sector's own side the last is the best; a side without any is searched for.
        order = np.argsort(reach, kind="stable")
        best = np.full(len(relaxed), -1)
        best[numbers[order]] = order
        directions = relaxed.directions
        for number in np.flatnonzero(best < 0).tolist():
            best[number] = reach_of(coordinates, directions[number]).argmax()
        return cls(coordinates, numbers, reach, coordinates[best])

    def candidate(self, threshold: float) -> Candidate:
        n, k = self.coordinates.shape
        inside = self.reach > threshold
        own, numbers = self.coordinates[inside], self.numbers[inside]
        counts = np.bincount(numbers, minlength=2**k)
        occupied = counts > 0
        sums = np.stack([np.bincount(numbers, column, 2**k) for column in own.T], axis=1)
        mean = sums / np.maximum(counts, 1)[:, None]
        square = np.bincount(numbers, np.square(own).sum(axis=1), 2**k) / np.maximum(counts, 1)
        if self.furthest is None:
            mean, square = mean[occupied], square[occupied]
        else:
            mean[~occupied] = self.furthest[~occupied]
            square[~occupied] = np.square(self.furthest[~occupied]).sum(axis=1)
        m = len(mean)
        if m < 2:
            return Candidate(threshold, int(occupied.sum()), len(own), 0.0, 0.0)
        # Of the pairs of different sectors: |t - u|^2 = |t|^2 + |u|^2 - 2 t.u, in expectation.
        cross = np.square(mean.sum(axis=0)).sum() - np.square(mean).sum()
        distance = 2 * square.mean() - 2 * cross / (m * (m - 1))
        spread = float(distance / (2 * self.coordinates.var(axis=0).sum() * n / (n - 1)))
        return Candidate(threshold, int(occupied.sum()), len(own), spread, m / 2**k * spread)
