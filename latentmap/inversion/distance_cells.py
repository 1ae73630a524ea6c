"""How far found codes are from what a model samples, as columns of a table."""

from __future__ import annotations

import numpy as np

from latentmap.report import Cell, Column


def distance_columns() -> list[Column]:
    """The heads of ``distance_cells``."""
    away = "distance of codes from the mean of sampled ones, in standard deviations"
    return [
        Column("median distance", away, decimals=1),
        Column("largest", "of these distances", decimals=1),
        Column("99.9 % of samples", "are no further away", decimals=1),
    ]


def distance_cells(distance: np.ndarray, limit: float) -> list[Cell]:
    """The median and the largest of distances ``(n,)``, and what 99.9 % of samples keep."""
    return [float(np.median(distance)), float(distance.max()), limit]
