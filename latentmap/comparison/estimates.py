"""Estimates of figures that are means over images, or shares of such.

Shapes: ``k`` quantities, ``n`` images, ``b`` bootstrap resamplings (1000).
"""

from __future__ import annotations

import numpy as np

from latentmap.intervals import Estimate, interval, resample

_N_BOOTSTRAP = 1000


def resampled_means(rows: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """The means ``(1 + b, k)`` of ``rows`` ``(k, n)``: of all images, and in each resampling."""
    return np.stack([rows.mean(1), *resample(rows, _N_BOOTSTRAP, seed=seed)])


def shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """``parts / wholes``; NaN where a whole is not above 0."""
    nothing = np.full_like(wholes, np.nan)
    found: np.ndarray = np.divide(parts, wholes, out=nothing, where=wholes > 0)
    return found


def estimate_of(values: np.ndarray) -> Estimate:
    """The first of ``(1 + b,)`` values, with the interval of the others."""
    return Estimate(float(values[0]), *interval(values[1:]))
