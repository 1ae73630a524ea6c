"""What baselines reach beside a learning curve: levels, each of a map from all pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latentmap.intervals import Estimate
from latentmap.relocation.baselines import BaselineKind


@dataclass(frozen=True)
class BaselineLevel:
    """The ``figures`` of the map that reads the ``numbers`` of ``model`` (a name), fitted on all
    ``n_pairs`` pairs.
    """

    kind: BaselineKind
    model: str
    numbers: int
    n_pairs: int
    figures: dict[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """All of it, figures with ``_low`` and ``_high``."""
        row: dict[str, Any] = {"kind": self.kind, "model": self.model, "numbers": self.numbers}
        row["n_pairs"] = self.n_pairs
        for name, estimate in self.figures.items():
            row |= estimate.to_json(name)
        return row


def best_level(levels: Sequence[BaselineLevel], name: str) -> BaselineLevel | None:
    """The level whose R2, or efficiency, is the largest; None where none has one.

    Example:
        >>> levels = [
        ...     BaselineLevel("pixels", "pixels:64", 64, 900, {"r2": Estimate(0.4, 0.3, 0.5)}),
        ...     BaselineLevel("pca", "pca:64", 64, 900, {"r2": Estimate(0.6, 0.5, 0.7)}),
        ... ]
        >>> best_level(levels, "r2").model
        'pca:64'
    """
    known = [one for one in levels if math.isfinite(one.figures[name].value)]
    return max(known, key=lambda one: one.figures[name].value, default=None)
