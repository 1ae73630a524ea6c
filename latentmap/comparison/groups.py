"""What the maps of a comparison lose on groups of images, over what they lose on the rest.

Shapes: ``n`` images, of which ``k`` are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from latentmap.comparison.journeys import CodeErrors, direct_figures
from latentmap.comparison.pictures import ImageFigures
from latentmap.group_ratios import ratio_to_rest
from latentmap.images.attribute_groups import ImageGroups
from latentmap.intervals import Estimate
from latentmap.relocation.groups import GroupLoss, asked_of, corrected, loses_images

Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class WayLoss:
    """What the map from model ``source`` to model ``target`` loses on a group: ``r2`` of its codes
    and of those of the rest ``other_r2``, about the mean code of all; the share of the ``codes``
    that is missed over that of the rest; and the same of the error of ``images`` over the target's
    own, None where no model decodes it, or none of its images was.
    """

    source: int
    target: int
    group: str
    n: int
    r2: Estimate
    other_r2: Estimate
    codes: GroupLoss
    images: GroupLoss | None

    def to_json(self) -> dict[str, Any]:
        """Numbers of the models; figures with ``_low`` and ``_high``, None where not defined."""
        return {
            "source": self.source,
            "target": self.target,
            "group": self.group,
            "n": self.n,
            **self.r2.to_json("r2"),
            **self.other_r2.to_json("other_r2"),
            "codes": self.codes.to_json(),
            "images": None if self.images is None else self.images.to_json(),
        }


@dataclass(frozen=True, eq=False)
class WaysByGroup:
    """All ways by the groups of one cut; of ``n_unknown`` images what tells is not known."""

    by: str
    ways: tuple[WayLoss, ...]
    n_unknown: int

    def to_json(self) -> dict[str, Any]:
        """A record of each way and group."""
        ways = [one.to_json() for one in self.ways]
        return {"by": self.by, "n_unknown": self.n_unknown, "ways": ways}


def ways_by_group(
    groups: Sequence[ImageGroups],
    errors: CodeErrors,
    pictures: ImageFigures,
    scored: np.ndarray,
    *,
    units: np.ndarray,
    places: Sequence[Place],
    seed: int = 0,
) -> tuple[WaysByGroup, ...]:
    """What the maps at some ``places`` lose by ``groups`` of the images to judge by, of ``units``
    ``(n,)``; decoded are those at ``scored`` ``(k,)``. P-values are corrected for all that is asked
    of codes, and for all that is asked of images.
    """
    found = []
    for one in groups:
        ways = [
            _way(place, one, number, errors, pictures, scored, units, seed)
            for place in places
            for number in asked_of(one)
        ]
        found.append(WaysByGroup(one.by, tuple(ways), int((~one.known).sum())))
    ways = [way for one in found for way in one.ways]
    codes = iter(corrected([way.codes for way in ways]))
    images = iter(corrected([way.images for way in ways if way.images is not None]))
    return tuple(
        replace(
            one,
            ways=tuple(
                replace(way, codes=next(codes), images=None if way.images is None else next(images))
                for way in one.ways
            ),
        )
        for one in found
    )


def _way(
    place: Place,
    groups: ImageGroups,
    number: int,
    errors: CodeErrors,
    pictures: ImageFigures,
    scored: np.ndarray,
    units: np.ndarray,
    seed: int,
) -> WayLoss:
    i, j = place
    missed, spread = errors.missed[place], errors.spread[j]
    known, inside = groups.known, groups.number == number
    sides = [np.flatnonzero(where) for where in (inside, known & ~inside)]
    r2, other_r2 = (
        direct_figures(missed[rows], spread[rows], units=units[rows], seed=seed)[1]
        for rows in sides
    )
    codes = ratio_to_rest(missed[known], spread[known], inside[known], units[known], seed=seed)
    few, moved, floor = known[scored], pictures.moved[place], pictures.floors[j]
    images = None
    if few.any() and np.isfinite(moved).all():
        parts, wholes = loses_images(moved, floor)
        shown, of = inside[scored][few], units[scored][few]
        images = GroupLoss(ratio_to_rest(parts[few], wholes[few], shown, of, seed=seed))
    return WayLoss(
        i, j, groups.names[number], int(inside.sum()), r2, other_r2, GroupLoss(codes), images
    )
