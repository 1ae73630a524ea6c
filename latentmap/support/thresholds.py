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
from latentmap.support.sectors import Sectors, sector_numbers

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(16))


@dataclass(frozen=True)
class Candidate:
    """What a threshold would give.

    ``occupied`` sectors have one of ``members`` images. ``spread`` is the mean squared distance
    between random members of two different sectors, along the leading variables, in units of that
    between two random images. ``balance`` is the share of occupied sectors times the spread.
    """

    threshold: float
    occupied: int
    members: int
    spread: float
    balance: float


@dataclass(frozen=True)
class ThresholdChoice:
    """The threshold with the best balance, and all that were tried."""

    threshold: float
    candidates: tuple[Candidate, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """Every candidate."""
        return [vars(candidate) for candidate in self.candidates]


def choose_threshold(
    codes: Codes, variables: Sequence[int], *, center: Center = "mean"
) -> ThresholdChoice:
    """The threshold from 0 to 1.5 at which the share of sectors with members, times the spread
    between them, is largest: a higher one moves sectors apart, and empties them.

    Raises:
        SupportError: as ``Sectors.of`` raises it.
    """
    sectors = Sectors.of(codes, variables, threshold=0, center=center)
    coordinates = sectors.coordinates(codes)
    tried = tuple(_candidate(coordinates, threshold) for threshold in THRESHOLDS)
    return ThresholdChoice(max(tried, key=lambda one: one.balance).threshold, tried)


def _candidate(coordinates: np.ndarray, threshold: float) -> Candidate:
    n, k = coordinates.shape
    own = coordinates[np.abs(coordinates).min(axis=1) > threshold]
    numbers = sector_numbers(own)
    counts = np.bincount(numbers, minlength=2**k)
    occupied = counts > 0
    m = int(occupied.sum())
    if m < 2:
        return Candidate(threshold, m, len(own), 0.0, 0.0)
    sums = np.stack([np.bincount(numbers, column, 2**k) for column in own.T], axis=1)
    squares = np.bincount(numbers, np.square(own).sum(axis=1), 2**k)
    mean = sums[occupied] / counts[occupied, None]
    square = squares[occupied] / counts[occupied]
    # Of the pairs of different sectors: |t - u|^2 = |t|^2 + |u|^2 - 2 t.u, in expectation.
    cross = np.square(mean.sum(axis=0)).sum() - np.square(mean).sum()
    distance = 2 * square.mean() - 2 * cross / (m * (m - 1))
    spread = float(distance / (2 * coordinates.var(axis=0).sum() * n / (n - 1)))
    return Candidate(threshold, m, len(own), spread, m / 2**k * spread)
