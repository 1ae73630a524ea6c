"""What the maps of a comparison lose on groups of images, over what they lose on the rest.

Shapes: ``n`` images, of which ``k`` are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.comparison.journeys import CodeErrors
from latentmap.comparison.pictures import ImageFigures
from latentmap.images.attribute_groups import ImageGroups
from latentmap.images.group_ratios import GroupRatio, correct, ratios_of_all
from latentmap.intervals import Estimate, resample, shares
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
    codes, images, r2s = [], [], []
    for one in groups:
        codes += _codes(one, places, errors, units, seed)
        images += _images(one, places, pictures, scored, units[scored], seed)
        r2s += _r2s(one, places, errors, units, seed)
    ways: dict[str, list[WayLoss]] = {one.by: [] for one in groups}
    for (one, (i, j)), of_codes, of_images, r2_of in zip(
        at, correct(codes), correct(images), r2s, strict=True
    ):
        shown = {ratio.name: GroupLoss(ratio) for ratio in of_images}
        ways[one.by] += [
            WayLoss(
                i,
                j,
                ratio.name,
                len(ratio.positions),
                *r2_of[ratio.name],
                GroupLoss(ratio),
                shown.get(ratio.name),
            )
            for ratio in asked(of_codes)
        ]
    return tuple(
        WaysByGroup(one.by, tuple(ways[one.by]), int((~one.known).sum())) for one in groups
    )


def _codes(
    groups: ImageGroups, places: Sequence[Place], errors: CodeErrors, units: np.ndarray, seed: int
) -> list[list[GroupRatio]]:
    losses = [(errors.missed[place], errors.spread[place[1]]) for place in places]
    return ratios_of_all(groups, losses, units=units, seed=seed)


def _images(
    groups: ImageGroups,
    places: Sequence[Place],
    pictures: ImageFigures,
    scored: np.ndarray,
    units: np.ndarray,
    seed: int,
) -> list[list[GroupRatio]]:
    """None where the target makes no images."""
    made = [place for place in places if np.isfinite(pictures.moved[place]).all()]
    losses = [(pictures.moved[place], floor_of(pictures.floors[place[1]])) for place in made]
    found = ratios_of_all(groups.take(scored), losses, units=units, seed=seed)
    by_place = dict(zip(made, found, strict=True))
    return [by_place.get(place, []) for place in places]


def _r2s(
    groups: ImageGroups, places: Sequence[Place], errors: CodeErrors, units: np.ndarray, seed: int
) -> list[dict[str, tuple[Estimate, Estimate]]]:
    """Of each place by group, the R2 of the images of the group and of the rest, by the same
    resamplings for all places; none of a single group, which has no rest.
    """
    found: list[dict[str, tuple[Estimate, Estimate]]] = [{} for _ in places]
    if len(groups.names) < 2:
        return found
    rows = np.stack([*(errors.missed[place] for place in places), *errors.spread])
    for i, name in enumerate(groups.names):
        mine = groups.number == i
        drawn = [
            resample(rows[:, side], units[side], seed=seed) for side in (mine, groups.known & ~mine)
        ]
        for number, (_, target) in enumerate(places):
            r2, other_r2 = (
                one.estimate(1 - shares(one.means[:, number], one.means[:, len(places) + target]))
                for one in drawn
            )
            found[number][name] = (r2, other_r2)
    return found
