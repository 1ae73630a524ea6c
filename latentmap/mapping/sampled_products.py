"""Products of the target variables with each other, where only their squares were gathered.

They cost more than the fit, and only the covariance of predictions and the correlation of shared
factors ask for them. What least squares explains of them is known from the other moments, and so is
the variance that it leaves of every variable. Only how these residuals correlate is not, and a
sample of the pairs is enough to say that.

Shapes: ``n`` pairs, ``q`` target variables.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from latentmap.codes import Pairs
from latentmap.mapping.moments import Moments
from latentmap.mapping.regression import solve_least_squares

# Of so many pairs correlations are known to 0.016, and their products cost a twenty-fifth of those
# that a fit of 200,000 pairs from 150 to 512 variables needs.
SAMPLED = 4096
_ROWS = 1024
# Share of a variable's sum of squares that is rounding.
_ROUNDING = torch.finfo(torch.float64).eps


def with_sampled_products(moments: Moments, pairs: Pairs) -> Moments:
    """The moments of the pairs with ``yy = C'G^-1 C + D R D``.

    ``C'G^-1 C`` is what least squares explains. The diagonal ``D`` holds the roots of the sums of
    squares that it leaves, which are exact, and ``R`` the correlations of the residuals of 4,096
    pairs that are drawn by chance.
    """
    spectrum = moments.source_spectrum
    scores = spectrum.directions.T @ moments.xy / spectrum.values.sqrt()[:, None]
    explained = scores.T @ scores
    left = (moments.squares_y - explained.diagonal()).clamp(min=0)
    # Residuals in units of about their own size: a correlation needs no more digits than float32.
    unit = torch.maximum(left, _ROUNDING * moments.squares_y).div(moments.n).sqrt()
    unit = torch.where(unit > 0, unit, 1.0)
    fitted = solve_least_squares(moments)
    # Not evenly spread ones, which would be alike where codes come in turns.
    random = np.random.default_rng(0)
    drawn = np.sort(random.choice(len(pairs), min(SAMPLED, len(pairs)), replace=False))
    products = torch.zeros(moments.q, moments.q, dtype=torch.float64)
    for x, y in pairs.take(drawn).blocks(_ROWS):
        missed = torch.addmm(fitted.bias, x.double(), fitted.weight).sub_(y).div_(unit).float()
        products += missed.T @ missed
    own = products.diagonal()
    scale = torch.where(own > 0, (left / own).sqrt(), 0.0)
    yy = explained + products * torch.outer(scale, scale)
    yy.diagonal().copy_(moments.squares_y)
    return replace(moments, yy=yy, sampled=True)
