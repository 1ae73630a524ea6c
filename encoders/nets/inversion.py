"""Inversion networks: convolutional networks from an image to the code that a generator made it of.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1], codes ``(n, d)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

Architecture = Literal["residual", "plain"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

# Images of this size and more are taken at half the size or less: codes decide what is large.
_LARGE, _ENOUGH = 256, 128
_GRID = 4
_DENSE = 16
_MOST = 8


class InversionNetwork(nn.Module):
    """Codes of images: ``mean + scale * body(images)``.

    ``mean`` (d) and ``scale`` (one number) are those of the generator's codes, so that ``body``
    learns numbers of mean 0 and variance 1 on average over the variables, while no variable counts
    more, or less, than its variance says.

    ``config`` is what ``default_network`` gives; ``image_shape`` is that of the images.
    """

    def __init__(
        self, config: Mapping[str, Any], image_shape: Sequence[int], latent_dim: int
    ) -> None:
        super().__init__()
        channels, *size = image_shape
        self.size = _seen_size((size[0], size[1]))
        self.shrinks = list(self.size) != size
        bodies = {"residual": _residual, "plain": _plain}
        self.body = bodies[config["architecture"]](config, channels, self.size, latent_dim)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """Codes ``(n, d)``."""
        return self.mean + self.scale * self.normalized(images)

    def normalized(self, images: Tensor) -> Tensor:
        """Codes ``(n, d)`` as the body gives them: less the mean, divided by the scale."""
        if self.shrinks:
            images = functional.interpolate(images, size=self.size, mode="area")
        codes: Tensor = self.body(2 * images - 1)
        return codes


def default_network(
    architecture: Architecture,
    image_shape: Sequence[int],
    latent_dim: int,
    *,
    width: int | None = None,
) -> dict[str, Any]:
    """The configuration of an inversion network that suits images of this shape.

    ``residual``: stages that halve the image down to 4 pixels; ``width`` channels, by default 32,
    twice as many after each stage, up to 8 times as many, and a dense layer of 16 times as many.

    ``plain``: the two networks of Asperti & Tonelli (arXiv 2207.06812): below 128 pixels the one
    for their GAN, 3 convolutions of 4x4 pixels, the first of 128 channels; from there on the one
    for StyleGAN, 6 convolutions of 3x3 pixels, the first of 32, and a dense layer four times as
    wide as the code. ``width`` takes the place of 128 or 32.
    """
    largest = max(_seen_size((image_shape[1], image_shape[2])))
    if architecture == "residual":
        first = width or 32
        stages = max(0, math.ceil(math.log2(largest / _GRID)))
        widths = [first * min(_MOST, 2**i) for i in range(stages + 1)]
        return {"architecture": architecture, "widths": widths, "dense": _DENSE * first}
    large = max(image_shape[1:]) >= _ENOUGH
    layers, kernel = (6, 3) if large else (3, 4)
    first = width or (32 if large else 128)
    return {
        "architecture": architecture,
        "widths": [first * 2**i for i in range(layers)],
        "kernel": kernel,
        "dense": 4 * latent_dim if large else None,
        "dropout": 0.2,
    }


def _seen_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size that the body sees of images of a size."""
    largest = max(size)
    if largest < _LARGE:
        return size
    factor = -(-largest // _ENOUGH)
    return (-(-size[0] // factor), -(-size[1] // factor))


def _plain(
    config: Mapping[str, Any], channels: int, size: tuple[int, int], latent_dim: int
) -> nn.Module:
    """Stride-2 convolutions with leaky ReLU, dropout, and one or two dense layers."""
    widths, kernel = list(config["widths"]), config["kernel"]
    layers: list[nn.Module] = []
    rows, columns = size
    for inputs, outputs in zip((channels, *widths[:-1]), widths, strict=True):
        # An odd size is rounded up, which a 4x4 kernel needs one more row and column for.
        if kernel == 4 and (rows % 2 or columns % 2):
            layers.append(nn.ZeroPad2d((0, columns % 2, 0, rows % 2)))
        layers += [nn.Conv2d(inputs, outputs, kernel, stride=2, padding=1), nn.LeakyReLU(0.2)]
        rows, columns = -(-rows // 2), -(-columns // 2)
    layers += [nn.Flatten(), nn.Dropout(config["dropout"])]
    flat = widths[-1] * rows * columns
    if config["dense"] is not None:
        layers += [nn.Linear(flat, config["dense"]), nn.LeakyReLU(0.2)]
        flat = config["dense"]
    return nn.Sequential(*layers, nn.Linear(flat, latent_dim))


def _residual(
    config: Mapping[str, Any], channels: int, size: tuple[int, int], latent_dim: int
) -> nn.Module:
    """A convolution, residual stages, and two dense layers."""
    widths = list(config["widths"])
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 3, padding=1)]
    rows, columns = size
    for inputs, outputs in pairwise(widths):
        layers.append(ResidualStage(inputs, outputs))
        rows, columns = -(-rows // 2), -(-columns // 2)
    layers += [
        _norm(widths[-1]),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(widths[-1] * rows * columns, config["dense"]),
        nn.SiLU(),
    ]
    return nn.Sequential(*layers, nn.Linear(config["dense"], latent_dim))


class ResidualStage(nn.Module):
    """Half the image at another width: two convolutions beside a 1x1 convolution of the averages.

    Odd sizes are rounded up.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.deep = nn.Sequential(
            _norm(inputs),
            nn.SiLU(),
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            _norm(outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Activations ``(n, outputs, h / 2, w / 2)``."""
        total: Tensor = self.deep(x) + self.shortcut(x)
        return total


def _norm(width: int) -> nn.Module:
    """Normalisation within each image, so that a code depends on no other image."""
    return nn.GroupNorm(math.gcd(8, width), width)
