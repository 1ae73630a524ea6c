"""The threshold of sectors that balances how far apart they are with how many have members.

Shapes: ``n`` images, ``k`` leading variables, ``2^k`` sectors, ``t`` thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import Codes
from latentmap.support.centers import Center
from latentmap.support.furthest import Furthest
from latentmap.support.sectors import Sectors, least_distance, sector_numbers

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
    return choose_among(sectors.coordinates(codes), sectors, strict=strict)


def choose_among(
    coordinates: np.ndarray, sectors: Sectors, *, strict: bool = False
) -> ThresholdChoice:
    """The same for codes of coordinates ``(n, k)`` in some sectors, at least one variable."""
    tried = _candidates(coordinates, None if strict else _furthest(coordinates, sectors))
    enough = _ENOUGH * max(one.balance for one in tried)
    return ThresholdChoice(next(o.threshold for o in tried if o.balance >= enough), tried)


def _furthest(coordinates: np.ndarray, sectors: Sectors) -> np.ndarray:
    """The place that reaches furthest into each sector, ``(2^k, k)``."""
    # Of a sector's own side the last is the best; a side without any is searched for.
    order = np.argsort(least_distance(coordinates), kind="stable")
    best = np.full(len(sectors), -1)
    best[sector_numbers(coordinates)[order]] = order
    empty = np.flatnonzero(best < 0)
    if len(empty):
        best[empty] = Furthest(coordinates).best(sectors.directions[empty])
    return np.asarray(coordinates[best])


def _candidates(coordinates: np.ndarray, furthest: np.ndarray | None) -> tuple[Candidate, ...]:
    """What each of the thresholds would give, where the places ``furthest`` ``(2^k, k)``, if there
    are any, stand for sectors without members.
    """
    n, k = coordinates.shape
    members = _Members.of(coordinates)
    counts = members.sums(np.ones(n))
    occupied = counts > 0
    stand = np.zeros((2**k, k)) if furthest is None else furthest
    m = occupied.sum(axis=1) if furthest is None else np.full(len(counts), 2**k)
    # Of the pairs of different sectors: |t - u|^2 = |t|^2 + |u|^2 - 2 t.u, in expectation.
    square, cross = np.zeros((2, len(counts)))
    for column, standing in zip(coordinates.T, stand.T, strict=True):
        mean = np.where(occupied, members.sums(column) / np.maximum(counts, 1), standing)
        cross += np.square(mean.sum(axis=1)) - np.square(mean).sum(axis=1)
        squares = members.sums(np.square(column)) / np.maximum(counts, 1)
        square += np.where(occupied, squares, np.square(standing)).sum(axis=1)
    pairs = np.maximum(m * (m - 1), 1)
    between = np.where(m > 1, 2 * square / np.maximum(m, 1) - 2 * cross / pairs, 0.0)
    spread = between / (2 * coordinates.var(axis=0).sum() * n / (n - 1))
    return tuple(
        Candidate(
            threshold,
            int(occupied[i].sum()),
            int(counts[i].sum()),
            float(spread[i]),
            float(m[i] / 2**k * spread[i]),
        )
        for i, threshold in enumerate(THRESHOLDS)
    )


@dataclass(frozen=True, eq=False)
class _Members:
    """Which images are members of which of ``2^k`` sectors at which thresholds: the number of a
    cell for each image ``(n,)``, of one for each sector and number of thresholds below its reach.
    """

    cells: np.ndarray
    sectors: int

    @classmethod
    def of(cls, coordinates: np.ndarray) -> _Members:
        sectors = 2 ** coordinates.shape[1]
        below = np.searchsorted(THRESHOLDS, least_distance(coordinates))
        return cls(below * sectors + sector_numbers(coordinates), sectors)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sums of ``values`` ``(n,)`` over the members of each sector at each threshold,
        ``(t, 2^k)``.
        """
        steps = len(THRESHOLDS) + 1
        cells = np.bincount(self.cells, values, steps * self.sectors).reshape(steps, self.sectors)
        # Who is a member at a threshold is one at every lower one.
        return np.asarray(cells[:0:-1].cumsum(axis=0)[::-1])
