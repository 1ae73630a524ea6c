"""The Split-VAE, as it is trained here and as it was published.

Asperti, Bugo & Filippini, "Enhancing Variational Generation Through Self-Decomposition", 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

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

    @property
    def reader(self) -> nn.Linear:
        """The dense layer from a code to the embedding; mask and images all come of it."""
        return self.unembed

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each ``(n, latent_dim)``."""
        hidden = self.embed(self.encoder(pad_to(images, self.padded)))
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]: mask times the first image, and the rest from the second."""
        hidden = nn.functional.silu(self.unembed(codes))
        hidden = self.expand(hidden).unflatten(1, (self.top, 4, 4))
        return _mixture(crop_to(self.decoder(hidden), self.size))


class PublishedSplitVAE(GaussianNetwork):
    """The Split-VAE of the published weights, which Keras pads at the bottom and the right.

    It also differs from ``SplitVAE`` in what surrounds the code: a residual dense block that is
    normalised before it, no activation after it, and one scale fewer in the encoder.
    ``encoder_widths`` are those of the stride-2 convolutions; ``decoder_widths`` are those from 4x4
    pixels up to the whole image.

    Raises:
        ValueError: the image is not square with the side that ``decoder_widths`` make, or too small
            for so many ``encoder_widths``.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int,
        embedding: int,
        *,
        encoder_widths: Sequence[int],
        decoder_widths: Sequence[int],
    ) -> None:
        super().__init__()
        channels, *size = image_shape
        side = 4 * 2 ** (len(decoder_widths) - 1)
        if size != [side, side] or 2 ** len(encoder_widths) > side:
            raise ValueError(
                f"{len(decoder_widths)} decoder widths make images of {side}x{side} pixels, for at "
                f"most {int(math.log2(side))} encoder widths: not {size[0]}x{size[1]} and "
                f"{len(encoder_widths)}"
            )
        self.top = decoder_widths[0]

        encoder: list[nn.Module] = [_Halving(channels, encoder_widths[0])]
        for inputs, outputs in pairwise(encoder_widths):
            encoder += [_Residual(inputs), _Halving(inputs, outputs)]
        self.encoder = nn.Sequential(*encoder, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embed = _NormalisedDenseResidual(encoder_widths[-1], embedding)
        self.mean = nn.Linear(embedding, latent_dim)
        self.log_variance = nn.Linear(embedding, latent_dim)

        self.unembed = nn.Linear(latent_dim, embedding)
        self.expand = nn.Linear(embedding, 16 * self.top)
        decoder: list[nn.Module] = []
        for inputs, outputs in pairwise(decoder_widths):
            decoder += [_Doubling(inputs, outputs), _Residual(outputs)]
        last = nn.Conv2d(decoder_widths[-1], 2 * channels + 1, 3, padding=1)
        self.decoder = nn.Sequential(*decoder, last)

    @property
    def reader(self) -> nn.Linear:
        """The dense layer from a code to the embedding; mask and images all come of it."""
        return self.unembed

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each ``(n, latent_dim)``."""
        hidden = self.embed(self.encoder(images))
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]: mask times the first image, and the rest from the second."""
        hidden = self.expand(self.unembed(codes)).unflatten(1, (self.top, 4, 4))
        return _mixture(self.decoder(hidden))


def _mixture(planes: Tensor) -> Tensor:
    """Images ``(n, c, h, w)`` from the decoder's last planes ``(n, 2 c + 1, h, w)``: a mask and the
    two images that it mixes, before the sigmoid.
    """
    channels = planes.shape[1] // 2
    mask, first, second = planes.sigmoid().split((1, channels, channels), dim=1)
    return torch.lerp(second, first, mask.expand_as(first))


class _Halving(nn.Conv2d):
    """A 3x3 stride-2 convolution of images with even sides, with Keras's padding ``same``: one zero
    at the bottom and the right, none at the top and the left.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(images, (0, 1, 0, 1)))


class _Doubling(nn.ConvTranspose2d):
    """The transpose of ``_Halving``: what falls on its padding, at the bottom and the right, is cut
    off.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(images, output_size)[:, :, :-1, :-1]


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


class _NormalisedDenseResidual(nn.Module):
    """Batch norm, swish and a dense layer, twice; the shortcut is a dense layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers += [
                nn.BatchNorm1d(width, eps=_EPSILON, momentum=_MOMENTUM),
                nn.SiLU(),
                nn.Linear(width, outputs),
            ]
        self.layers = nn.Sequential(*layers)
        self.shortcut = nn.Linear(inputs, outputs)

    def forward(self, hidden: Tensor) -> Tensor:
        result: Tensor = self.layers(hidden) + self.shortcut(hidden)
        return result
