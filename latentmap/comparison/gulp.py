"""GULP: how differently ridge regressions from two spaces predict (Boix-Adsera et al. 2022).

With covariances ``S``, ``T`` and ``C`` between the spaces, of codes whose variances sum to 1, the
squared distance at a penalty ``l`` is

    tr((S + l)^-1 S)^2 + tr((T + l)^-1 T)^2 - 2 tr((S + l)^-1 C (T + l)^-1 C')

which is the mean square of the difference of the predictions of a random target. Each term is the
HSIC of two kernels ``x' (S + l)^-1 x``. So it is had without bias as that of CKA is, on images that
the whitening was not fitted on; of the same images it would rise with the variables.

Shapes: ``n`` images, ``d`` variables, ``m`` spaces.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from latentmap.mapping.moments import Spectrum

GULP_PENALTY = 0.01  # Of the variance of all variables together.


def whitened(codes: Tensor, spectrum: Spectrum) -> Tensor:
    """Codes ``x (S + l)^-1/2`` along the directions of a spectrum of other images, ``(n, r)``, but
    for one factor, the root of the number of those images.
    """
    values = spectrum.values / spectrum.values.sum()
    scale = spectrum.values.sum().sqrt() * (values + GULP_PENALTY).sqrt()
    return codes.double() @ (spectrum.directions / scale)


def gulp_distances(products: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The distances ``(..., m, m)`` of inner products of relations, over what unrelated spaces have
    in the mean: 0 for equal ones, and at most the root of 2. ``own`` ``(..., m)`` are the products
    of the relations with themselves; NaN where one is 0.
    """
    own = np.where(own > 0, own, np.nan)
    unrelated = own[..., :, None] + own[..., None, :]
    found: np.ndarray = np.sqrt(np.clip(1 - 2 * products / unrelated, 0, 2))
    return found
