"""What is too much to be chance, where several things are tested at once.

Shapes: ``k`` hypotheses.
"""

from __future__ import annotations

import numpy as np

SIGNIFICANCE = 0.05


def holm(p_values: np.ndarray) -> np.ndarray:
    """The p-values ``(k,)`` corrected for their number, so that any of the hypotheses falls wrongly
    with a chance of at most the level (Holm 1979); those that are NaN do not count, and stay.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    corrected = p_values.copy()
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    times = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * times), 1.0)
    return corrected
