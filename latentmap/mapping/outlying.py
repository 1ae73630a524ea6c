"""Which codes are far from all others: weights by the codes alone, before any map is fitted.

Shapes: ``n`` codes, ``d`` variables of their space.
"""

from __future__ import annotations

import numpy as np

from latentmap.codes import Codes

# Rows by which medians are judged; more would not move them, and need memory.
_JUDGED = 8192
_ROWS = 8192
# The standard deviation of a normal variable, in median absolute deviations.
_BY_MEDIAN = 1.4826
# What is beyond the median by more standard deviations loses weight. A code that is far off may
# still be right, so it has to be farther off than any of a normal cloud.
_FAR = 6.0


def weights_of(norms: np.ndarray, beyond: float, floor: float = 0.0) -> np.ndarray:
    """The weight of each of some norms ``(n,)``: 1 up to ``c``, then ``(c / r)^4``.

    ``c`` is the median plus so many standard deviations, by the median absolute deviation, and at
    least the ``floor``. All are 1 where most norms are infinite, which tell no pair from another.
    """
    middle = np.median(norms)
    if not np.isfinite(middle):
        return np.ones_like(norms)
    away = np.abs(norms - middle)
    spread = np.median(away)
    # Where most are the same, such as of few-valued codes, the others are judged by each other, but
    # a few that are far off by the median all the same.
    if spread == 0 and away.any():
        spread = min(np.median(away[away > 0]), middle)
    limit = max(float(middle + beyond * _BY_MEDIAN * spread), floor)
    far = norms > limit
    weights = np.ones_like(norms)
    weights[far] = (limit / norms[far]) ** 4
    return weights


def outlying_weights(codes: Codes) -> np.ndarray:
    """The weights ``(n,)`` of codes by how far they are from the middle of all.

    Distances are of codes in units of each variable's robust spread (Rousseeuw and Croux 1993), so
    that what is far off does not hide itself. Codes in the middle are not among those by which the
    others are judged: where features are rare, most are there.
    """
    distances = _distances(codes)
    weights = np.ones_like(distances)
    away = distances > 0
    if away.any():
        weights[away] = weights_of(distances[away], _FAR)
    return weights


def _distances(codes: Codes) -> np.ndarray:
    rows = np.unique(np.linspace(0, len(codes) - 1, min(len(codes), _JUDGED)).astype(np.int64))
    sample = codes.take(rows).vectors.double().numpy()
    middle = np.median(sample, axis=0)
    away = np.abs(sample - middle)
    varies = away > np.finfo(np.float32).eps * np.abs(middle)
    # Where most codes are the same, such as of a rare feature, the others are judged by each other.
    rare = varies.any(axis=0) & (varies.mean(axis=0) <= 0.5)
    away[rare & ~varies] = np.nan
    spread = _BY_MEDIAN * np.nanmedian(away, axis=0)
    unit = np.where(varies.any(axis=0), 1 / np.where(spread > 0, spread, 1), 0.0)
    parts = [
        np.linalg.norm((block.double().numpy() - middle) * unit, axis=1)
        for block in codes.blocks(_ROWS)
    ]
    return np.concatenate(parts)
