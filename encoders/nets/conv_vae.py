"""The vanilla convolutional VAE of Asperti & Tonelli (arXiv 2207.06812)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.encoders.nets.padding import crop_to, pad_to


class ConvVAE(GaussianNetwork):
    """Images through 4x4 stride-2 convolutions of the given ``widths`` to ``latent_dim`` variables,
    and back.

    Sizes that the strides do not divide are padded with black.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int,
        widths: Sequence[int] = (128, 256, 512),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        channels, *size = image_shape
        stride = 2 ** len(widths)
        self.size = (size[0], size[1])
        self.grid = (-(-size[0] // stride), -(-size[1] // stride))
        self.padded = (self.grid[0] * stride, self.grid[1] * stride)
        self.last = widths[-1]
        flat = self.last * self.grid[0] * self.grid[1]

        encoder: list[nn.Module] = []
        for inputs, outputs in zip((channels, *widths[:-1]), widths, strict=True):
            encoder += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.encoder = nn.Sequential(*encoder, nn.Flatten(), nn.Dropout(dropout))
        self.mean = nn.Linear(flat, latent_dim)
        self.log_variance = nn.Linear(flat, latent_dim)

        self.expand = nn.Linear(latent_dim, flat)
        decoder: list[nn.Module] = []
        inputs = self.last
        for width in reversed(widths):
            outputs = max(width // 2, 1)
            decoder += [
                nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1),
                nn.LeakyReLU(0.2),
            ]
            inputs = outputs
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(inputs, channels, 5, padding=2))

    @property
    def reader(self) -> nn.Linear:
        """The dense layer from a code to the smallest grid."""
        return self.expand

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance, each ``(n, latent_dim)``."""
        hidden = self.encoder(pad_to(images, self.padded))
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """Images in [0, 1]."""
        hidden = self.expand(codes).unflatten(1, (self.last, *self.grid))
        return crop_to(self.decoder(hidden).sigmoid(), self.size)
