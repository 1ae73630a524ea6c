"""The figures of a map: how well it relocates images, each with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from latentmap.intervals import Estimate
from latentmap.report import with_interval

HIGH_FLOOR = "the floor is above half the baseline"


@dataclass(frozen=True)
class Figures:
    """How well a map relocates images, each with its interval.

    All errors are means over images, pixels and channels in [0, 1]. ``r_mse``: image against its
    reconstruction by the source. ``l_mse``: target code against mapped code, mean over variables.
    ``r2``: the share of the variance of the target codes that is predicted, all variables together;
    ``r2_cells``, of grids alone, the same of the variance about the mean of each channel over all
    images and positions, so that what depends on the position alone has to be predicted, too.
    ``m_mse``: image, as the target sees it, against the target's image of the mapped code; it lies
    between ``floor_mse``, the target's own reconstruction, and ``baseline_mse``, the error of the
    mean image, without the part that is due to its being the mean of these images (see
    ``of_own_mean``), and so is the variance of ``r2``. ``efficiency`` is (baseline - m) / (baseline
    - floor); NaN when the target's floor is not below the baseline.

    Without a decoder of the source there is no ``r_mse``; without one of the target there are
    neither ``m_mse``, ``floor_mse`` and ``baseline_mse`` nor ``efficiency``. These are NaN then.
    """

    r_mse: Estimate
    l_mse: Estimate
    r2: Estimate
    r2_cells: Estimate
    m_mse: Estimate
    floor_mse: Estimate
    baseline_mse: Estimate
    efficiency: Estimate

    @property
    def has_high_floor(self) -> bool:
        """Whether the target's own error is above half of the mean image's: an efficiency says
        little then, since any map comes near to so high a floor.
        """
        return is_high(self.floor_mse.value, self.baseline_mse.value)

    def to_json(self) -> dict[str, Any]:
        """Each with ``_low`` and ``_high``; None where one is not defined."""
        result: dict[str, Any] = {}
        for name in FIGURES:
            result |= getattr(self, name).to_json(name)
        return result


FIGURES = tuple(one.name for one in fields(Figures))


def is_high(floor: float, baseline: float) -> bool:
    """Whether a floor is so near its baseline that any map comes near it, too."""
    return floor > baseline / 2


def figures_in_words(figures: Figures, decimals: int = 3) -> str:
    """R2 and, where the target decodes, efficiency, with their intervals; with what is to be minded
    where the floor is high.
    """
    said = f"R2 {with_interval(figures.r2, decimals)}"
    if math.isfinite(figures.m_mse.value):
        said += f", efficiency {with_interval(figures.efficiency, decimals)}"
        said += f" ({HIGH_FLOOR})" * figures.has_high_floor
    return said
