"""What a map does on groups of images, and whether it loses more on some than the target does.

Some images are hard for the target itself, which shows in its floor. So the error of relocated
images is held against that, and the same against the other images; where there is no floor, of
images that the target made, the error stands alone; and of a target without a decoder it is the
share of its codes' variance that is not predicted. Shapes: ``n`` images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from latentmap.group_ratios import GroupRatio, ratio_to_rest
from latentmap.holm import holm
from latentmap.images.attribute_groups import ImageGroups
from latentmap.intervals import Estimate, defined
from latentmap.relocation.measuring import ImageErrors
from latentmap.relocation.scored_figures import Figures
from latentmap.relocation.scores import Scores, estimates_of
from latentmap.report import Shown, Table

# What the error of a group is held against before it is compared with the rest.
Held: TypeAlias = Literal["floor", "nothing", "variance"]
Loss = Literal["more", "no more", "less", "not told", "too few"]
LEVEL = 0.05
NO_MORE = 1.25  # An interval that ends below it tells that no more is lost.
# The squared error of rounding to 8 bits, twice: of images that the target made.
_ROUNDING = 2 / 255**2 / 12


@dataclass(frozen=True)
class GroupLoss:
    """How many times as much is lost on a group as on the rest, over what it is held against, with
    the p-value corrected for all groups that are asked for.
    """

    found: GroupRatio
    p_holm: float = math.nan

    @property
    def verdict(self) -> Loss:
        """What follows: ``more`` or ``less`` by the test; ``no more`` where the interval holds 1,
        or is below, and ends below 1.25; ``not told`` else, and ``too few`` below 10 units.
        """
        ratio = self.found.ratio
        if self.found.has_few:
            return "too few"
        if self.p_holm <= LEVEL:
            return "more" if ratio.value > 1 else "less"
        return "no more" if ratio.low <= 1 and ratio.high < NO_MORE else "not told"

    def to_json(self) -> dict[str, Any]:
        """The ratio with ``_low`` and ``_high``, both p-values, and what follows."""
        return {
            **self.found.ratio.to_json("ratio"),
            "p_value": defined(self.found.p_value),
            "p_holm": defined(self.p_holm),
            "verdict": self.verdict,
        }


def corrected(losses: Sequence[GroupLoss]) -> list[GroupLoss]:
    """The same with their p-values corrected for how many they are (Holm)."""
    p_values = holm(np.array([one.found.p_value for one in losses], np.float64))
    return [replace(one, p_holm=float(p)) for one, p in zip(losses, p_values, strict=True)]


def asked_of(groups: ImageGroups) -> range:
    """The groups, by number, that are compared with the rest: all, but of two the first, since the
    other is its reverse.
    """
    count = len(groups.names)
    return range(0 if count < 2 else 1 if count == 2 else count)


@dataclass(frozen=True, eq=False)
class GroupScores:
    """The ``figures`` of a map on ``n`` images of ``n_units`` units; ``plain`` is the error of
    relocated images over that of the rest, and ``loss`` what is asked of the group, None of the
    second of two.
    """

    name: str
    n: int
    n_units: int
    figures: Figures
    plain: Estimate
    loss: GroupLoss | None

    def to_json(self) -> dict[str, Any]:
        """All of it, figures with ``_low`` and ``_high``; None where not defined."""
        return {
            "name": self.name,
            "n": self.n,
            "n_units": self.n_units,
            **self.figures.to_json(),
            **self.plain.to_json("error_ratio"),
            "loss": None if self.loss is None else self.loss.to_json(),
        }


@dataclass(frozen=True, eq=False)
class Cut:
    """The groups of one cut ``by`` attributes; of ``n_unknown`` images what tells is not known."""

    by: str
    groups: tuple[GroupScores, ...]
    n_unknown: int

    def to_json(self) -> dict[str, Any]:
        """A record of each group."""
        groups = [one.to_json() for one in self.groups]
        return {"by": self.by, "n_unknown": self.n_unknown, "groups": groups}


@dataclass(frozen=True, eq=False)
class ScoresByGroup(Shown):
    """The scores of a map by groups of its images; ``held`` says what losses are held against."""

    cuts: tuple[Cut, ...]
    held: Held

    def __repr__(self) -> str:
        return f"<ScoresByGroup: {', '.join(one.by for one in self.cuts)}>"

    def __iter__(self) -> Iterator[Cut]:
        return iter(self.cuts)

    def tables(self) -> list[Table]:
        from latentmap.relocation.group_tables import cut_tables

        return cut_tables(self, short=True)

    @property
    def asked(self) -> int:
        """How many groups are compared with the rest, for which p-values are corrected."""
        return sum(one.loss is not None for cut in self.cuts for one in cut.groups)

    def to_json(self) -> dict[str, Any]:
        """The cuts, what losses are held against, and what follows in words."""
        from latentmap.relocation.group_tables import sentences

        said = [sentence for cut in self.cuts for sentence in sentences(cut, self.held)]
        cuts = [one.to_json() for one in self.cuts]
        return {"held_against": self.held, "cuts": cuts, "verdicts": said}


def scores_by_group(
    scores: Scores, groups: Sequence[ImageGroups], *, seed: int = 0
) -> ScoresByGroup:
    """What scores are by ``groups`` of their images, in the order of ``scores.errors``.

    R2 and the baseline of a group are about the mean code and the mean image of all images. Only
    images whose group is known are the rest of another.
    """
    errors = scores.errors
    held, parts, wholes = _held(errors)
    losses = corrected(
        [
            GroupLoss(_ratio(parts, wholes, one, number, errors, seed))
            for one in groups
            for number in asked_of(one)
        ]
    )
    queue, ones = iter(losses), np.ones(len(parts))
    cuts = []
    for one in groups:
        found = []
        for number, name in enumerate(one.names):
            mine = errors.take(np.flatnonzero(one.number == number))
            found.append(
                GroupScores(
                    name,
                    len(mine.ids),
                    len(np.unique(mine.units)),
                    Figures(**estimates_of(mine, seed=seed)),
                    _ratio(errors.relocation, ones, one, number, errors, seed).ratio,
                    next(queue) if number in asked_of(one) else None,
                )
            )
        cuts.append(Cut(one.by, tuple(found), int((~one.known).sum())))
    return ScoresByGroup(tuple(cuts), held)


def _held(errors: ImageErrors) -> tuple[Held, np.ndarray, np.ndarray]:
    """What losses are held against; and of each image the loss, and that, ``(n,)``."""
    if not np.isfinite(errors.relocation).all():
        return "variance", errors.code, errors.code_variance
    held: Held = "floor" if _is_floor(errors.floor) else "nothing"
    return held, *loses_images(errors.relocation, errors.floor)


def loses_images(relocation: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The errors of relocated images ``(n,)``, and what they are held against: their floor, where
    it is one.
    """
    return relocation, floor if _is_floor(floor) else np.ones_like(relocation)


def _is_floor(floor: np.ndarray) -> bool:
    return bool(floor.mean() >= _ROUNDING)


def _ratio(
    parts: np.ndarray,
    wholes: np.ndarray,
    groups: ImageGroups,
    number: int,
    errors: ImageErrors,
    seed: int,
) -> GroupRatio:
    known = groups.known
    inside = groups.number[known] == number
    return ratio_to_rest(parts[known], wholes[known], inside, errors.units[known], seed=seed)
