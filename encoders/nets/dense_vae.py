"""The fully connected VAE, such as 784-256-64-32-16 on MNIST (Asperti, arXiv 1812.07238)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from latentmap.encoders.nets.gaussian import GaussianNetwork


class DenseVAE(GaussianNetwork):
    """Images ``(n, c, h, w)`` through layers of the given ``widths`` to ``latent_dim`` variables,
    and back.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], latent_dim: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        pixels = math.prod(image_shape)
        self.encoder = dense_layers([pixels, *widths])
        last = widths[-1] if widths else pixels
        self.mean = nn.Linear(last, latent_dim)
        self.log_variance = nn.Linear(last, latent_dim)
        self.decoder = dense_layers([latent_dim, *reversed(widths)])
        self.output = nn.Linear(widths[0] if widths else latent_dim, pixels)

    @property
    def reader(self) -> nn.Linear:
        """The first dense layer of the decoder, which without ``widths`` is its last."""
        for layer in self.decoder:
            if isinstance(layer, nn.Linear):
                return layer
        return self.output

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each ``(n, latent_dim)``."""
        hidden = self.encoder(images.flatten(1))
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]."""
        pixels: Tensor = self.output(self.decoder(codes))
        return pixels.sigmoid().reshape(-1, *self.image_shape)


def dense_layers(widths: Sequence[int]) -> nn.Sequential:
    """Dense layers from each of the ``widths`` to the next, each with ReLU behind it."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)
