"""The scores of a map as rows, a figure each: what a frame holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from latentmap.relocation.scored_figures import FIGURES, Figures
from latentmap.relocation.scores import Scores

# They stand beside the error that they bound, and are figures of their own.
_BOUNDS = {"floor": "floor_mse", "baseline": "baseline_mse"}


def rows_of(scores: Scores) -> list[dict[str, Any]]:
    """A row of every figure that is defined: of this map, then of what stands beside it."""
    ceiling = None if scores.ceiling is None else scores.ceiling.beside
    others = [*scores.baselines, *(one for one in (ceiling, scores.network) if one is not None)]
    rows = [*_rows("this map", scores)]
    for one in others:
        rows += _rows(f"{one.kind} ({one.model})", one.figures)
    return rows


def _rows(codes: str, figures: Figures) -> Iterator[dict[str, Any]]:
    """The figures of one thing."""
    for name in FIGURES:
        value, low, high = getattr(figures, name)
        if not math.isfinite(value):
            continue
        bounds = {
            column: getattr(figures, of).value if name == "m_mse" else math.nan
            for column, of in _BOUNDS.items()
        }
        yield {"codes": codes, "figure": name, "value": value, "low": low, "high": high, **bounds}
