"""What stands beside the figures of a map: baselines, a ceiling, and the target's own network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from latentmap.intervals import UNDEFINED
from latentmap.relocation.baselines import BaselineKind
from latentmap.relocation.gains import NO_GAIN, Gain, Linearity
from latentmap.relocation.scored_figures import Figures

BesideKind: TypeAlias = BaselineKind | Literal["ceiling", "network"]


@dataclass(frozen=True)
class Beside:
    """What other codes of the same images do in place of the source's: the ``figures`` of a map,
    scored on the same images, that reads the ``numbers`` of ``model`` (a name).

    ``kind`` is that of a baseline; ``network``, where the codes are those of the target's own
    encoder, and there is no map; or ``ceiling``, where they are those of the source, and the map is
    none that is linear.
    """

    kind: BesideKind
    model: str
    numbers: int
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """All of it, figures as those of scores."""
        head = {"kind": self.kind, "model": self.model, "numbers": self.numbers}
        return {**head, **self.figures.to_json()}


@dataclass(frozen=True)
class Ceiling:
    """What a nonlinear map of the same codes reaches, and the part of it that the linear one has.

    ``by`` says what map it is, ``linear`` where none is better on pairs that were kept back;
    ``beside`` is how well it does, ``method`` that of the linear one.
    """

    by: str
    beside: Beside
    linearity: Linearity
    method: str

    def over(self, linear: Figures) -> Figures:
        """What it reaches, R2 and efficiency being those of the ``linear`` map where these are
        higher.
        """
        mine = self.beside.figures
        higher = {
            name: max(getattr(mine, name), getattr(linear, name), key=lambda one: one.value)
            for name in ("r2", "efficiency")
        }
        return replace(mine, **higher)

    def to_json(self, linear: Figures) -> dict[str, Any]:
        """What stands beside the figures of the ``linear`` map, with ``_low`` and ``_high``."""
        return _ceiling_json(self.by, self.over(linear), self.linearity)


def _ceiling_json(
    by: str | None, figures: Figures | None, linearity: Linearity | None
) -> dict[str, Any]:
    r2, efficiency = (figures.r2, figures.efficiency) if figures else (UNDEFINED, UNDEFINED)
    parts = (linearity.r2, linearity.efficiency) if linearity else (UNDEFINED, UNDEFINED)
    return {
        "ceiling": by,
        **r2.to_json("r2_ceiling"),
        **efficiency.to_json("efficiency_ceiling"),
        **parts[0].to_json("linearity"),
        **parts[1].to_json("efficiency_linearity"),
    }


def context_json(
    figures: Figures, baselines: Sequence[Beside], gain: Gain | None, ceiling: Ceiling | None
) -> dict[str, Any]:
    """What stands beside the ``figures`` of a map, as JSON; None where there is nothing."""
    return {
        "baselines": [one.to_json() for one in baselines],
        **(gain or NO_GAIN).to_json(),
        **(_ceiling_json(None, None, None) if ceiling is None else ceiling.to_json(figures)),
    }
