"""Gains: what a map has over the best baseline, and a linear map of what a nonlinear one reaches.

Both are of the same images, and formed inside each resampling, so that what two maps find equally
hard cancels out. Shapes: ``n`` images, ``b`` resamplings, ``k`` baselines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.intervals import N_BOOTSTRAP, UNDEFINED, Estimate, defined, resample, shares
from latentmap.relocation.measuring import ImageErrors

MEAN = "mean image"


@dataclass(frozen=True)
class Gain:
    """What a map has over the best of some baselines.

    ``r2`` is how much more of the variance of the target's codes it predicts than ``best``, the
    baseline with the largest R2. ``p_value`` is the chance of such a gain where the map is no better
    than that one: the largest of the one-sided paired tests against each baseline (Student, over
    units), so that it is small only where all are beaten (intersection-union; Berger 1982).
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


def gain_over(
    errors: ImageErrors,
    baselines: Mapping[str, ImageErrors],
    *,
    seed: int = 0,
    n_bootstrap: int = N_BOOTSTRAP,
) -> Gain:
    """What the map has, whose ``errors`` of images are these, over the best of ``baselines``, by
    their names.
    """
    k, names, others = len(baselines), list(baselines), list(baselines.values())
    rows = np.stack(
        [
            *(errors.code, errors.code_variance, errors.relocation, errors.floor, errors.baseline),
            *(one.code for one in others),
            *(one.relocation for one in others),
        ]
    )
    found = resample(rows, errors.units, seed=seed, n_bootstrap=n_bootstrap)
    code, variance, moved, floor, mean, *beside = found.means.T
    by_code, by_image = np.stack(beside[:k]), np.stack([mean, *beside[k:]])
    least = by_image.min(0)
    first = by_image[:, 0]
    return Gain(
        best=names[int(by_code[:, 0].argmin())],
        r2=found.estimate(shares(by_code.min(0) - code, variance)),
        p_value=max(_p_value(one.code - errors.code, errors.units) for one in others),
        best_by_images=[MEAN, *names][int(first.argmin())] if np.isfinite(first).all() else "",
        efficiency=found.estimate(shares(least - moved, least - floor)),
    )


def _p_value(differences: np.ndarray, units: np.ndarray) -> float:
    """The chance of differences ``(n,)`` as large where their mean is 0, one-sided, by Student's
    test of a ratio of sums over units; NaN of one unit.
    """
    from scipy.special import stdtr

    _, numbers = np.unique(units, return_inverse=True)
    sums = np.bincount(numbers, weights=differences)
    sizes = np.bincount(numbers)
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
    """Which part of what a nonlinear map reaches a linear one has, on the same images: of R2, and of
    efficiency. Where the nonlinear map is no better, the linear one is the ceiling, and the part 1.
    """

    r2: Estimate
    efficiency: Estimate


def linearity_of(
    linear: ImageErrors,
    nonlinear: ImageErrors,
    *,
    seed: int = 0,
    n_bootstrap: int = N_BOOTSTRAP,
) -> Linearity:
    """R2 of a linear map over that of a nonlinear one, and the same of efficiency."""
    rows = np.stack(
        [
            *(linear.code_variance, linear.baseline, linear.floor),
            *(linear.code, nonlinear.code, linear.relocation, nonlinear.relocation),
        ]
    )
    found = resample(rows, linear.units, seed=seed, n_bootstrap=n_bootstrap)
    variance, baseline, floor, code, least_code, moved, least_moved = found.means.T
    scale = baseline - floor
    return Linearity(
        found.estimate(_part([shares(variance - one, variance) for one in (code, least_code)])),
        found.estimate(_part([shares(baseline - one, scale) for one in (moved, least_moved)])),
    )


def _part(figures: Sequence[np.ndarray]) -> np.ndarray:
    """The first figure over the larger of both; NaN where neither is above 0."""
    first, second = figures
    return shares(first, np.maximum(first, second))
