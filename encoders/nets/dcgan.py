"""The networks of a GAN: convolutions that double the size from a code, and halve it to a logit.

After Radford et al., "Unsupervised representation learning with deep convolutional generative
adversarial networks" (2016), in the plain form of Asperti & Tonelli (arXiv 2207.06812).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn

from latentmap.encoders.nets.padding import crop_to, pad_to

Norm = Literal["batch", "none"]
NORMS: tuple[Norm, ...] = get_args(Norm)


class Generator(nn.Module):
    """Images in [0, 1] of codes ``(n, latent_dim)``.

    A dense layer to a coarse grid of ``base`` channels, then a 4x4 stride-2 transposed convolution
    for each of ``widths``, which doubles the size, and a 5x5 convolution to the channels. ``norm``
    follows every layer but the last. Of a size that the strides do not divide, the next larger one
    is made and its centre shown.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int,
        *,
        base: int,
        widths: Sequence[int],
        norm: Norm,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"norm {norm!r} is none of {', '.join(NORMS)}")
        channels, height, width = image_shape
        self.size = (height, width)
        self.grid = _grid(self.size, len(widths))
        self.base = base
        self.expand = nn.Linear(latent_dim, base * self.grid[0] * self.grid[1])
        layers: list[nn.Module] = _activated(base, norm)
        for inputs, outputs in zip((base, *widths[:-1]), widths, strict=True):
            layers.append(
                nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none")
            )
            layers += _activated(outputs, norm)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 5, padding=2))

    def forward(self, codes: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` in [0, 1]."""
        hidden = self.expand(codes).unflatten(1, (self.base, *self.grid))
        return crop_to(self.layers(hidden).sigmoid(), self.size)


class Discriminator(nn.Module):
    """Logits ``(n,)`` of images in [0, 1] being real.

    A 4x4 stride-2 convolution for each of ``widths``, dropout and a dense layer. ``norm`` follows
    every convolution but the first. Sizes that the strides do not divide are padded with black.

    A batch norm shows it a batch at a time, so that a generator whose images are all alike is found
    out: pass images and generated ones apart.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        widths: Sequence[int],
        dropout: float,
        norm: Norm,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        grid = _grid((height, width), len(widths))
        stride = 2 ** len(widths)
        self.padded = (grid[0] * stride, grid[1] * stride)
        layers: list[nn.Module] = []
        norms: list[Norm] = ["none", *[norm] * (len(widths) - 1)]
        for inputs, outputs, here in zip((channels, *widths[:-1]), widths, norms, strict=True):
            layers.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=here == "none"))
            layers += _activated(outputs, here)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout))
        self.logit = nn.Linear(widths[-1] * grid[0] * grid[1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(n,)`` of images ``(n, c, h, w)``."""
        logits: Tensor = self.logit(self.layers(pad_to(images, self.padded)))
        return logits[:, 0]


def _grid(size: tuple[int, int], doublings: int) -> tuple[int, int]:
    """The size from which so many doublings reach at least ``size``."""
    stride = 2**doublings
    return -(-size[0] // stride), -(-size[1] // stride)


def _activated(width: int, norm: Norm) -> list[nn.Module]:
    """What follows a layer; a norm brings the shift that its layer then needs not have."""
    norms: list[nn.Module] = [nn.BatchNorm2d(width)] if norm == "batch" else []
    return [*norms, nn.LeakyReLU(0.2)]
