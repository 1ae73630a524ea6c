"""The Split-VAE.

Asperti, Bugo & Filippini, "Enhancing Variational Generation Through Self-Decomposition", 2022.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.encoders.nets.padding import crop_to, pad_to

# 0.999 in the sense of Keras, where it weighs the past.
_MOMENTUM = 0.001
_EPSILON = 1e-5


class SplitVAE(GaussianNetwork):
    """Residual VAE whose decoder emits a mask and two images; the result is their mixture.

    ``width`` is the width of the first scale; it doubles at every further one. The images are
    padded with black to the next power of two, from 32 on.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int,
        width: int = 64,
        embedding: int = 512,
    ) -> None:
        super().__init__()
        channels, *size = image_shape
        self.size = (size[0], size[1])
        side = max(32, 2 ** math.ceil(math.log2(max(size))))
        self.padded = (side, side)
        self.channels = channels
        # As many scales as the decoder needs from its 4x4 start: four for 64x64 images.
        scales = int(math.log2(side)) - 2
        self.top = width * 2**scales

        encoder: list[nn.Module] = [nn.Conv2d(channels, width, 3, stride=2, padding=1)]
        for scale in range(scales):
            inputs = width * 2**scale
            encoder += [_Residual(inputs), nn.Conv2d(inputs, 2 * inputs, 3, stride=2, padding=1)]
        self.encoder = nn.Sequential(*encoder, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embed = _DenseResidual(self.top, embedding)
        self.mean = nn.Linear(embedding, latent_dim)
        self.log_variance = nn.Linear(embedding, latent_dim)

        self.unembed = nn.Linear(latent_dim, embedding)
        self.expand = nn.Linear(embedding, 16 * self.top)
        decoder: list[nn.Module] = []
        for scale in reversed(range(scales)):
            outputs = width * 2**scale
            decoder += [
                nn.ConvTranspose2d(2 * outputs, outputs, 3, stride=2, padding=1, output_padding=1),
                _Residual(outputs),
            ]
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(width, 2 * channels + 1, 3, padding=1))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each ``(n, latent_dim)``."""
        hidden = self.embed(self.encoder(pad_to(images, self.padded)))
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]: mask times the first image, and the rest from the second."""
        hidden = nn.functional.silu(self.unembed(codes))
        hidden = self.expand(hidden).unflatten(1, (self.top, 4, 4))
        planes = crop_to(self.decoder(hidden), self.size).sigmoid()
        mask, first, second = planes.split((1, self.channels, self.channels), dim=1)
        return torch.lerp(second, first, mask.expand_as(first))


class _Residual(nn.Module):
    """Batch norm, swish and a 3x3 convolution, twice; the shortcut is a 3x3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                nn.BatchNorm2d(width, eps=_EPSILON, momentum=_MOMENTUM),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
            ]
        self.layers = nn.Sequential(*layers)
        self.shortcut = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layers(images) + self.shortcut(images)
        return result


class _DenseResidual(nn.Module):
    """Two dense layers with swish, and a dense shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, outputs), nn.SiLU(), nn.Linear(outputs, outputs), nn.SiLU()
        )
        self.shortcut = nn.Linear(inputs, outputs)

    def forward(self, hidden: Tensor) -> Tensor:
        result: Tensor = self.layers(hidden) + self.shortcut(hidden)
        return result
