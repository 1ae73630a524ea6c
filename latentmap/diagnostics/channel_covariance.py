"""How channels vary together: spectrum and correlations, with intervals over blocks of images.

Shapes: ``u`` blocks, ``w`` weightings of them (``latentmap.diagnostics.blocks``), ``c`` channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.diagnostics.blocks import Blocks
from latentmap.intervals import Estimate, defined, shares, student_quantile

# A variance below this share of the mean square is rounding of float32 codes.
ROUNDING = (16 * float(np.finfo(np.float32).eps)) ** 2
_NEAR_ONE = 1 - 1e-15


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of channels over images and positions.

    ``spectrum`` are its eigenvalues, the largest first: the variances along the principal
    ``directions`` ``(c, c)``, in columns, of all images; the interval of one is of the variance
    along that direction. ``effective`` is (sum of them)^2 / (sum of their squares): how many
    channels of equal variance without correlation are as spread. ``correlation`` ``(c, c)`` has
    ``low`` and ``high`` as its 95 % intervals by jackknife over blocks in Fisher's z; NaN where a
    channel does not vary.
    """

    spectrum: tuple[Estimate, ...]
    directions: np.ndarray
    effective: Estimate
    correlation: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def strongest(self, channel: int) -> tuple[int, Estimate] | None:
        """The other channel that it is most correlated with, and how; None where there is none."""
        others = np.abs(self.correlation[channel])
        others = np.where(np.arange(len(others)) == channel, np.nan, others)
        if np.isnan(others).all():
            return None
        other = int(np.nanargmax(others))
        at = (channel, other)
        return other, Estimate(*(float(one[at]) for one in (self.correlation, self.low, self.high)))

    def to_json(self) -> dict[str, Any]:
        """All but the directions; correlations as lists of rows, None where not defined."""
        spectrum = [one.to_json("variance") for one in self.spectrum]
        matrices = {
            "correlation": self.correlation,
            "correlation_low": self.low,
            "correlation_high": self.high,
        }
        rows = {name: [list(map(defined, row)) for row in one] for name, one in matrices.items()}
        return {"spectrum": spectrum, **self.effective.to_json("effective_channels"), **rows}


def covariance_of(
    weighted: Blocks, sizes: np.ndarray, totals: np.ndarray, products: np.ndarray, mean: np.ndarray
) -> Covariance:
    """The covariance of what has the sums ``totals`` ``(u, c)`` and ``products`` ``(u, c, c)`` over
    blocks of ``sizes`` ``(u,)`` images; ``mean`` ``(c,)`` is of the codes as they are.
    """
    n = sizes.sum()
    center = totals.sum(0) / n
    covariance = products.sum(0) / n - np.outer(center, center)
    values, directions = np.linalg.eigh(covariance)
    directions = directions[:, np.argsort(-values)]
    # Along fixed directions only sums of squares are resampled, and no matrix is decomposed again.
    along = np.stack([(directions * (one @ directions)).sum(0) for one in products])
    squared = weighted.means(along) - weighted.means(totals @ directions) ** 2
    squared = np.maximum(squared, 0)
    effective = shares(squared.sum(1) ** 2, np.square(squared).sum(1))
    correlation, low, high = _correlations(sizes, totals, products, mean)
    return Covariance(
        weighted.estimates(squared),
        directions,
        weighted.estimate(effective),
        correlation,
        low,
        high,
    )


def _correlations(
    sizes: np.ndarray, totals: np.ndarray, products: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The correlations ``(c, c)``, and the two ends of their intervals."""
    n, total, product = sizes.sum(), totals.sum(0), products.sum(0)
    u, floor = len(sizes), ROUNDING * np.square(mean)
    found = _correlation(n, total, product, floor)
    if u < 2:
        nothing = np.full_like(found, np.nan)
        return found, nothing, nothing
    first, second = np.zeros_like(found), np.zeros_like(found)
    z = _fisher(found)
    for k in range(u):
        left = _correlation(n - sizes[k], total - totals[k], product - products[k], floor)
        away = _fisher(left) - z
        first += away
        second += away**2
    spread = np.maximum(second - first**2 / u, 0)
    reach = student_quantile(0.975, u - 1) * np.sqrt((u - 1) / u * spread)
    return found, np.tanh(z - reach), np.tanh(z + reach)


def _correlation(n: float, total: np.ndarray, product: np.ndarray, floor: np.ndarray) -> np.ndarray:
    mean = total / n
    covariance = product / n - np.outer(mean, mean)
    variance = covariance.diagonal()
    scale = np.sqrt(np.where(variance > floor, variance, np.nan))
    return np.asarray(np.clip(covariance / np.outer(scale, scale), -1, 1))


def _fisher(correlation: np.ndarray) -> np.ndarray:
    return np.asarray(np.arctanh(np.clip(correlation, -_NEAR_ONE, _NEAR_ONE)))
