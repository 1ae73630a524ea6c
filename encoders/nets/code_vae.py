"""The second VAE of a two-stage model: dense, on codes (Dai & Wipf, "Diagnosing and Enhancing VAE
Models", ICLR 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from latentmap.encoders.nets.dense_vae import dense_layers
from latentmap.encoders.nets.gaussian import GaussianNetwork


class CodeVAE(GaussianNetwork):
    """Codes ``(n, d)`` through layers of the given ``widths`` to as many variables, and back. As
    published, the last layer of the encoder and of the decoder also see what enters it.
    """

    def __init__(self, latent_dim: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = dense_layers([latent_dim, *widths])
        self.mean = nn.Linear(latent_dim + widths[-1], latent_dim)
        self.log_variance = nn.Linear(latent_dim + widths[-1], latent_dim)
        self.decoder = dense_layers([latent_dim, *widths])
        self.output = nn.Linear(latent_dim + widths[-1], latent_dim)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance of codes, each ``(n, d)``."""
        hidden = torch.cat([images, self.encoder(images)], 1)
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes of the first VAE, which have no bounds."""
        made: Tensor = self.output(torch.cat([codes, self.decoder(codes)], 1))
        return made
