"""The divergence of normal distributions from the prior of a VAE, variable by variable."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALLEST_VARIANCE = torch.finfo(torch.float32).tiny


def kl_divergence(mean: Tensor, variance: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of every variable, ``(n, d)``: (mean^2 + s2 - log s2 - 1) /
    2.
    """
    return 0.5 * (mean.square() + variance - log_variance - 1)


def log_of_variance(variance: Tensor) -> Tensor:
    """The logarithm of variances, of one below the smallest normal float32 (1.2e-38) that of this
    number, so that what underflowed to 0 has a divergence that is finite: about 43.
    """
    return variance.clamp(min=_SMALLEST_VARIANCE).log()
