"""What every VAE network offers, whatever its layers."""

from __future__ import annotations

from torch import Tensor, nn


class GaussianNetwork(nn.Module):
    """A network between images ``(n, c, h, w)`` in [0, 1] and a diagonal Gaussian over codes ``(n,
    d)``.

    Whatever the layers are, the last of the encoder are two linear ones, ``mean`` and
    ``log_variance``, and the first of the decoder is one, ``reader``.
    """

    mean: nn.Linear
    log_variance: nn.Linear

    @property
    def latent_dim(self) -> int:
        """Latent variables."""
        return self.mean.out_features

    @property
    def reader(self) -> nn.Linear:
        """The layer that codes enter the decoder by."""
        raise NotImplementedError

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each ``(n, d)``."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]."""
        raise NotImplementedError
