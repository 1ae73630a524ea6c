"""Ratios of errors of two samples of images, each resampled by itself.

Shapes: ``n`` images of one sample, ``m`` of the other.
"""

from __future__ import annotations

import numpy as np

from latentmap.intervals import Estimate, estimate_of, resample, shares


def share_of(
    mse: np.ndarray, whole: np.ndarray, units: np.ndarray | None = None, *, seed: int = 0
) -> Estimate:
    """The mean of errors ``(n,)`` over the mean of ``whole`` ``(n,)`` of the same images."""
    found = resample(np.stack([mse, whole]), units, seed=seed)
    means = found.means
    return found.estimate(shares(means[:, 0], means[:, 1]))


def ratio_of_shares(
    above: tuple[np.ndarray, np.ndarray],
    below: tuple[np.ndarray, np.ndarray],
    *,
    units: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    seed: int = 0,
) -> Estimate:
    """What share of their wholes the errors of one sample are, over what share those of another
    are. ``above`` are errors and wholes of the one ``(n,)``, ``below`` of the other ``(m,)``, and
    ``units`` those of both; errors and wholes of an image are drawn together, the samples apart.
    """
    drawn = [
        resample(np.stack(rows), of, seed=seed + number)
        for number, (rows, of) in enumerate(zip((above, below), units, strict=True))
    ]
    (every, one), (others, other) = (
        (shares(part.every[0], part.every[1]), shares(part.drawn[:, 0], part.drawn[:, 1]))
        for part in drawn
    )
    first, second = (shares(part.without[:, 0], part.without[:, 1]) for part in drawn)
    without = [
        shares(first, np.full_like(first, others)),
        shares(np.full_like(second, every), second),
    ]
    return estimate_of(float(shares(every, others)), shares(one, other), without)


def ratio_estimate(
    mse: np.ndarray, own: np.ndarray, units: np.ndarray | None = None, *, seed: int = 0
) -> Estimate:
    """The mean of errors ``(n,)``, of images of some ``units`` ``(n,)``, over the mean of ``own``
    errors ``(m,)``, both resampled.
    """
    return ratio_of_shares(
        (mse, np.ones_like(mse)), (own, np.ones_like(own)), units=(units, None), seed=seed
    )
