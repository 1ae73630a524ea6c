"""Gains: what a map has over the best baseline, and a linear map of what a nonlinear one reaches.

Both are of the same images, and formed inside each resampling, so that what two maps find equally
hard cancels out. Shapes: ``n`` images, ``k`` baselines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.intervals import N_BOOTSTRAP, UNDEFINED, Estimate, defined, resample, shares

MEAN = "mean image"


@dataclass(frozen=True)
class Gain:
    """What a map has over the best of some baselines.

    ``r2`` is how much more of the variance of the target's codes it predicts than ``best``, the
    baseline with the largest R2. ``p_value`` is the chance of such a gain where the map is no
    better than that one: the largest of the one-sided paired tests against each baseline (Student,
    over units), so that it is small only where all are beaten (intersection-union; Berger 1982).
    ``efficiency`` is (best - m) / (best - floor), where ``best`` is the smallest error of images of
    any baseline, and of the mean image; ``best_by_images`` is the one. NaN where the target's floor
    is not below it, or there are no images.
    """

    best: str
    r2: Estimate
    p_value: float
    best_by_images: str
    efficiency: Estimate

    def to_json(self) -> dict[str, Any]:
        """All of it; estimates with ``_low`` and ``_high``."""
        return {
            "best_baseline": self.best or None,
            **self.r2.to_json("r2_gain"),
            "r2_gain_p": defined(self.p_value),
            "best_baseline_by_images": self.best_by_images or None,
            **self.efficiency.to_json("efficiency_over_best"),
        }


NO_GAIN = Gain("", UNDEFINED, math.nan, "", UNDEFINED)


@dataclass(frozen=True, eq=False)
class Drawn:
    """How images are resampled: of some ``units`` ``(n,)``, so often, by a seed."""

    units: np.ndarray | None
    seed: int = 0
    n_bootstrap: int = N_BOOTSTRAP


@dataclass(frozen=True, eq=False)
class Bounded:
    """The errors ``(n,)`` of images carried by a map, between the target's own ``floor`` and the
    ``baseline`` of the mean image.
    """

    moved: np.ndarray
    floor: np.ndarray
    baseline: np.ndarray


@dataclass(frozen=True, eq=False)
class MapErrors:
    """What a map misses of codes, squared, and the squared distances of these from their mean,
    ``(n,)`` each, and how they are ``drawn``; the errors of ``images``, which may be fewer, and how
    these are.
    """

    code: np.ndarray
    variance: np.ndarray
    drawn: Drawn
    images: Bounded
    drawn_images: Drawn

    def gain(self, code: Mapping[str, np.ndarray], images: Mapping[str, np.ndarray]) -> Gain:
        """What the map has over baselines, from their errors of codes and of images, by name."""
        return Gain(
            *gain_in_codes(self.code, self.variance, code, self.drawn),
            *gain_in_images(self.images, images, self.drawn_images),
        )

    def linearity(self, code: np.ndarray, images: np.ndarray) -> Linearity:
        """Which part it has of what a nonlinear map reaches, from the errors of that one."""
        return Linearity(
            linearity_in_codes(self.code, code, self.variance, self.drawn),
            linearity_in_images(self.images, images, self.drawn_images),
        )


def gain_in_codes(
    missed: np.ndarray, variance: np.ndarray, baselines: Mapping[str, np.ndarray], drawn: Drawn
) -> tuple[str, Estimate, float]:
    """The name of the baseline with the largest R2, how much larger that of a map is, and the
    p-value, see ``Gain``: from its squared errors ``(n,)``, those of the baselines, and the squared
    distances of the target's codes from their mean.
    """
    rows = np.stack([missed, variance, *baselines.values()])
    found = resample(rows, drawn.units, seed=drawn.seed, n_bootstrap=drawn.n_bootstrap)
    error, varied, *others = found.means.T
    by_name = np.stack(others)
    best = list(baselines)[int(by_name[:, 0].argmin())]
    gain = found.estimate(shares(by_name.min(0) - error, varied))
    if not math.isfinite(gain.value):
        return best, gain, math.nan
    return best, gain, max(_p_value(other - missed, drawn.units) for other in baselines.values())


def gain_in_images(
    errors: Bounded, baselines: Mapping[str, np.ndarray], drawn: Drawn
) -> tuple[str, Estimate]:
    """The name of what has the smallest error of images, the mean image among them, and the
    efficiency of a map against it; not defined without images.
    """
    if not np.isfinite(errors.moved).all():
        return "", UNDEFINED
    rows = np.stack([errors.moved, errors.floor, errors.baseline, *baselines.values()])
    found = resample(rows, drawn.units, seed=drawn.seed, n_bootstrap=drawn.n_bootstrap)
    moved, floor, *others = found.means.T
    by_name = np.stack(others)
    best = [MEAN, *baselines][int(by_name[:, 0].argmin())]
    least = by_name.min(0)
    return best, found.estimate(shares(least - moved, least - floor))


def _p_value(differences: np.ndarray, units: np.ndarray | None) -> float:
    """The chance of differences ``(n,)`` as large where their mean is 0, one-sided, by Student's
    test of a ratio of sums over units; NaN of one unit.
    """
    from scipy.special import stdtr

    numbers = np.arange(len(differences))
    if units is not None:
        _, numbers = np.unique(units, return_inverse=True)
    sums, sizes = np.bincount(numbers, weights=differences), np.bincount(numbers)
    u, mean = len(sums), float(differences.mean())
    if u < 2:
        return math.nan
    away = sums - mean * sizes
    error = math.sqrt(u / (u - 1) * float(np.square(away).sum())) / len(differences)
    if error == 0:
        return float(mean <= 0)
    return float(stdtr(u - 1, -mean / error))


@dataclass(frozen=True)
class Linearity:
    """Which part of what a nonlinear map reaches a linear one has, on the same images: of R2, and
    of efficiency. Where the nonlinear map is no better, the linear one is the ceiling, and the part
    1.
    """

    r2: Estimate
    efficiency: Estimate


def linearity_in_codes(
    linear: np.ndarray, nonlinear: np.ndarray, variance: np.ndarray, drawn: Drawn
) -> Estimate:
    """R2 of a linear map over that of a nonlinear one, from their squared errors ``(n,)``."""
    return _part(linear, nonlinear, variance, np.zeros(len(variance)), drawn)


def linearity_in_images(errors: Bounded, nonlinear: np.ndarray, drawn: Drawn) -> Estimate:
    """Efficiency of a linear map over that of a nonlinear one, from the errors ``(n,)`` of both;
    not defined without images.
    """
    if not np.isfinite(errors.moved).all():
        return UNDEFINED
    return _part(errors.moved, nonlinear, errors.baseline, errors.floor, drawn)


def _part(
    first: np.ndarray, second: np.ndarray, most: np.ndarray, least: np.ndarray, drawn: Drawn
) -> Estimate:
    """What the first errors gain, of what there is between ``most`` and ``least``, over the larger
    gain of both; not defined where neither gains, or there is nothing between.

    At 1 it ends, which no resampling minds: beyond it goes on as smoothly, and is cut off at last.
    """
    rows = np.stack([first, second, most, least])
    found = resample(rows, drawn.units, seed=drawn.seed, n_bootstrap=drawn.n_bootstrap)
    one, other, top, bottom = found.means.T
    gains = [shares(top - error, top - bottom) for error in (one, other)]
    whole = found.estimate(1 + shares(gains[0] - gains[1], np.maximum(*gains)))
    return Estimate(*(float(number) for number in np.minimum(whole, 1)))
