"""The images by the signs of leading variables: how many, how many are expected, and which.

Shapes: ``n`` images, ``k`` leading variables, ``s`` images of a support set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.codes import Codes, first_of_content
from latentmap.codes.channel_means import channel_means
from latentmap.errors import ExplorerError
from latentmap.support import Ordering, SupportSet
from latentmap.support.occupancy import Reference
from latentmap.support.sectors import MOST_VARIABLES, Sectors, reach_of

ANY = "."
_SIGNS = {"+": 1, "-": -1}
_MOST_THRESHOLD = 100.0  # Standard deviations.


@dataclass(frozen=True)
class Signs:
    """The signs of leading variables, the first at the left: of each ``+``, ``-``, or ``.`` for
    any; a member lies more than ``threshold`` from the center along each that has one.
    """

    text: str
    threshold: float

    @property
    def places(self) -> list[int]:
        """The leading variables that have a sign, by their places."""
        return [place for place, sign in enumerate(self.text) if sign != ANY]

    @property
    def directions(self) -> np.ndarray:
        """1 or -1 of each of these."""
        return np.array([_SIGNS[sign] for sign in self.text if sign != ANY], np.float64)


@dataclass(frozen=True, eq=False)
class Count:
    """How many images have some signs, and how many are ``expected`` to."""

    n: int
    expected: float


@dataclass(frozen=True, eq=False)
class Found:
    """What has some signs: how many images, and which ``rows``, those that reach furthest first.
    ``sides`` are what would have them with each leading variable below and above its center.
    """

    count: Count
    rows: np.ndarray
    sides: tuple[tuple[Count, Count], ...]


@dataclass(frozen=True, eq=False)
class LeadingSectors:
    """The leading variables of a space, and where ``n`` codes lie along them, ``coordinates`` ``(n,
    k)``; those of a ``support`` set where it has some. ``rows`` ``(s,)`` are its images among the
    codes, -1 where they are not.
    """

    sectors: Sectors
    coordinates: np.ndarray
    reference: Reference
    support: SupportSet | None = None
    rows: np.ndarray | None = None

    @classmethod
    def of(
        cls, codes: Codes, ordering: Ordering, support: SupportSet | None = None
    ) -> LeadingSectors:
        """The sectors of a support set; without one those of the codes about their mean, of the
        variables that lead and do something.

        Raises:
            SupportError: a variable has one value for all images.
        """
        means = channel_means(codes)
        rows = None if support is None else _rows_among(codes, support)
        variables = leading_variables(ordering, support)
        if support is not None and support.settings["variables"]:
            center, unit = (np.array(support.settings[name]) for name in ("center", "unit"))
            sectors = Sectors(variables, center, unit, support.threshold)
            reference = Reference.of(support)
        else:
            sectors = Sectors.of(means, variables, threshold=0)
            reference = Reference.in_space(codes.space, len(variables))
        # Variable by variable, as they are looked at.
        coordinates = np.asfortranarray(sectors.coordinates(means))
        return cls(sectors, coordinates, reference, support, rows)

    def __len__(self) -> int:
        return len(self.sectors.variables)

    def signs(self, text: str, threshold: float | None) -> Signs:
        """Signs that are asked for, by default about the threshold of the sectors.

        Raises:
            ExplorerError: they are none, more than variables, or the threshold is none.
        """
        if len(text) > len(self) or not {*text} <= {*_SIGNS, ANY}:
            raise ExplorerError(
                f"signs are up to {len(self)} of +, - and {ANY} (any), not {text[:40]!r}"
            )
        if threshold is None:
            threshold = self.sectors.threshold
        if not 0 <= threshold <= _MOST_THRESHOLD:
            raise ExplorerError(f"a threshold is a number from 0 to {_MOST_THRESHOLD:g}")
        return Signs(text, threshold)

    def find(self, signs: Signs) -> Found:
        """The images that have some signs, and how many had with others."""
        places, threshold = signs.places, signs.threshold
        missed = np.zeros(len(self.coordinates), np.int8)
        outside = {}
        for place, direction in zip(places, signs.directions, strict=True):
            outside[place] = direction * self.coordinates[:, place] <= threshold
            missed += outside[place]
        rows = np.flatnonzero(missed == 0)
        reach = reach_of(self.coordinates[rows][:, places], signs.directions)
        sides = []
        for place in range(len(signs.text)):
            t = self.coordinates[missed == outside.get(place, 0), place]
            expected = self._expected({*places, place}, threshold)
            below, above = (int((side > threshold).sum()) for side in (-t, t))
            sides.append((Count(below, expected), Count(above, expected)))
        count = Count(len(rows), self._expected(places, threshold))
        return Found(count, rows[np.argsort(-reach, kind="stable")], tuple(sides))

    def of_support(self, signs: Signs) -> np.ndarray:
        """The images of the support set that stand for sectors of these signs, by their places in
        it; none where it has no leading variables.
        """
        if self.support is None or not self.support.settings["variables"]:
            return np.array([], np.int64)
        there = self.sectors.directions[self.support.sector][:, signs.places] == signs.directions
        return np.flatnonzero(there.all(axis=1))

    def _expected(self, places: Sequence[int] | set[int], threshold: float) -> float:
        share = self.reference.along(sorted(places)).share(threshold)
        return len(self.coordinates) * share


def leading_variables(ordering: Ordering, support: SupportSet | None) -> tuple[int, ...]:
    """Those of a support set that has some; without one those that lead and do something."""
    if support is not None and support.settings["variables"]:
        return tuple(support.settings["variables"])
    still = {*(ordering.inactive or ()), *ordering.dropped}
    alive = [one for one in ordering.order.tolist() if one not in still]
    return tuple((alive or ordering.order.tolist())[:MOST_VARIABLES])


def _rows_among(codes: Codes, support: SupportSet) -> np.ndarray:
    """The rows of the images of a support set by their contents ``(s,)``, -1 of others."""
    n = len(codes)
    first = first_of_content(np.concatenate([codes.digests, support.digests]))[n:]
    return np.where(first < n, first, -1)
