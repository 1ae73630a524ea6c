"""What the maps of a comparison lose on groups of images, over what they lose on the rest.

Shapes: ``n`` images, of which ``k`` are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.comparison.journeys import CodeErrors, direct_figures
from latentmap.comparison.pictures import ImageFigures
from latentmap.images.attribute_groups import ImageGroups
from latentmap.images.group_ratios import GroupRatio, correct, group_ratios
from latentmap.intervals import Estimate
from latentmap.relocation.groups import GroupLoss, asked, floor_of

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
    at = [(one, place) for one in groups for place in places]
    codes = correct([_codes(one, place, errors, units, seed) for one, place in at])
    images = correct(
        [_images(one, place, pictures, scored, units[scored], seed) for one, place in at]
    )
    ways: dict[str, list[WayLoss]] = {one.by: [] for one in groups}
    for (one, (i, j)), of_codes, of_images in zip(at, codes, images, strict=True):
        shown = {ratio.name: GroupLoss(ratio) for ratio in of_images}
        missed, spread = errors.missed[i, j], errors.spread[j]
        for ratio in asked(of_codes):
            mine = np.zeros(len(units), np.bool_)
            mine[ratio.positions] = True
            r2, other_r2 = (
                direct_figures(missed[side], spread[side], units=units[side], seed=seed)[1]
                for side in (mine, one.known & ~mine)
            )
            ways[one.by].append(
                WayLoss(
                    i,
                    j,
                    ratio.name,
                    int(mine.sum()),
                    r2,
                    other_r2,
                    GroupLoss(ratio),
                    shown.get(ratio.name),
                )
            )
    return tuple(
        WaysByGroup(one.by, tuple(ways[one.by]), int((~one.known).sum())) for one in groups
    )


def _codes(
    groups: ImageGroups, place: Place, errors: CodeErrors, units: np.ndarray, seed: int
) -> list[GroupRatio]:
    missed, spread = errors.missed[place], errors.spread[place[1]]
    return group_ratios(groups, missed, spread, units=units, seed=seed)


def _images(
    groups: ImageGroups,
    place: Place,
    pictures: ImageFigures,
    scored: np.ndarray,
    units: np.ndarray,
    seed: int,
) -> list[GroupRatio]:
    """None where the target makes no images."""
    moved, floor = pictures.moved[place], pictures.floors[place[1]]
    if not np.isfinite(moved).all():
        return []
    return group_ratios(groups.take(scored), moved, floor_of(floor), units=units, seed=seed)
