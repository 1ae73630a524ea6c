"""The calibration of the clipped coverage (Salvy, Talbot & Thirion, "Enhanced Generative Model
Evaluation with Clipped Density and Coverage", arXiv 2507.01761): which share of good images has it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def good_share(coverage: float, n: int, m: int, k: int) -> float:
    """The share of ``m`` generated images that have to be as the ``n`` real ones are, for a mean
    ``coverage`` of these by ``k`` neighbours, where the others are far from all of them. More than
    all would have is above 1, by the last slope: published is 1.

    Example:
        >>> good_share(0.0, 100, 100, 5)
        0.0
    """
    expected = _expected(n, m, k)
    beyond = max(coverage - expected[-1], 0.0) / (expected[-1] - expected[-2])
    return float((np.searchsorted(expected, coverage) + beyond) / len(expected))


@lru_cache(maxsize=64)
def _expected(n: int, m: int, k: int) -> np.ndarray:
    """The coverage that 0, 1, ..., ``m`` good images have in the mean, ``(m + 1,)``; 0 of fewer
    than ``k``, as published. How many of them lie in the ball of a real image follows the
    beta-binomial distribution, of which the first ``k`` terms are all that is needed.
    """
    from scipy.special import betaln, gammaln

    good, inside = np.arange(m + 1)[:, None], np.arange(k)[None]
    rest = np.maximum(good - inside, 0)
    chosen = gammaln(good + 1) - gammaln(inside + 1) - gammaln(rest + 1)
    share = np.exp(chosen + betaln(k + inside, n - k + rest) - betaln(k, n - k))
    missed = (np.where(inside <= good, share, 0) * (k - inside)).sum(1)
    return np.where(np.arange(m + 1) < k, 0.0, 1 - missed / k)
