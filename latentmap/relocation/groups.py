"""What a map does on groups of images, and whether it loses more on some than the target does.

Some images are hard for the target itself, which shows in its floor. So the error of relocated
images is held against that, and the same against the other images; where there is no floor, of
images that the target made, the error stands alone; and of a target without a decoder it is the
share of its codes' variance that is not predicted. Shapes: ``n`` images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from latentmap.images.attribute_groups import ImageGroups
from latentmap.images.group_ratios import GroupRatio, correct, group_ratios
from latentmap.intervals import Estimate
from latentmap.relocation.measuring import ImageErrors
from latentmap.relocation.scored_figures import Figures
from latentmap.relocation.scores import Scores, estimates_of
from latentmap.report import Shown, Table

# What the error of a group is held against before it is compared with the rest.
Held: TypeAlias = Literal["floor", "nothing", "variance"]
Loss = Literal["more", "no more", "less", "not told", "too few"]
NO_MORE = 1.25  # An interval that ends below it tells that no more is lost.
# The squared error of rounding to 8 bits, twice: of images that the target made.
_ROUNDING = 2 / 255**2 / 12


@dataclass(frozen=True, eq=False)
class GroupLoss:
    """How many times as much is lost on a group as on the rest, over what it is held against."""

    found: GroupRatio

    @property
    def verdict(self) -> Loss:
        """What follows: ``more`` or ``less`` by the test; ``no more`` where the interval holds 1,
        or is below, and ends below 1.25; ``not told`` else, and ``too few`` below 10 units.
        """
        ratio = self.found.ratio
        if self.found.p_value is None:
            return "too few"
        if self.found.differs:
            return "more" if ratio.value > 1 else "less"
        return "no more" if ratio.low <= 1 and ratio.high < NO_MORE else "not told"

    def to_json(self) -> dict[str, Any]:
        """The ratio with ``_low`` and ``_high``, both p-values, and what follows."""
        return {
            **self.found.ratio.to_json("ratio"),
            "p_value": self.found.p_value,
            "p_holm": self.found.corrected,
            "verdict": self.verdict,
        }


def asked(losses: Sequence[GroupRatio]) -> Sequence[GroupRatio]:
    """The groups of a cut that are asked of: all, but of two the first, since the other is its
    reverse, and none where there is nothing but one.
    """
    return losses[:1] if len(losses) == 2 else losses if len(losses) > 2 else []


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

        return cut_tables(self)

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
    families = correct(
        [group_ratios(one, parts, wholes, units=errors.units, seed=seed) for one in groups]
    )
    cuts = []
    for one, family in zip(groups, families, strict=True):
        found = []
        for ratio in family:
            mine = errors.take(np.sort(ratio.positions))
            found.append(
                GroupScores(
                    ratio.name,
                    len(mine.ids),
                    ratio.n_units,
                    Figures(**estimates_of(mine, seed=seed)),
                    ratio.plain,
                    GroupLoss(ratio) if ratio in asked(family) else None,
                )
            )
        cuts.append(Cut(one.by, tuple(found), int((~one.known).sum())))
    return ScoresByGroup(tuple(cuts), held)


def _held(errors: ImageErrors) -> tuple[Held, np.ndarray, np.ndarray | None]:
    """What losses are held against; and of each image the loss, and that, ``(n,)``, where there is
    something.
    """
    if not np.isfinite(errors.relocation).all():
        return "variance", errors.code, errors.code_variance
    if floor_of(errors.floor) is None:
        return "nothing", errors.relocation, None
    return "floor", errors.relocation, errors.floor


def floor_of(errors: np.ndarray) -> np.ndarray | None:
    """The target's own errors ``(n,)``; None where they are but rounding, as it made the images."""
    return errors if errors.mean() >= _ROUNDING else None
