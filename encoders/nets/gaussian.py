"""What every VAE network offers, whatever its layers."""

from __future__ import annotations

from torch import Tensor, nn


class GaussianNetwork(nn.Module):
    """A network between images ``(n, c, h, w)`` in [0, 1] and a diagonal Gaussian over codes ``(n,
    d)``.
    """

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each ``(n, d)``."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]."""
        raise NotImplementedError
