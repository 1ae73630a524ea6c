"""The networks of the TAESD family: small convolutional autoencoders, which stand in for the large
ones of diffusion models.

A half is a list of steps ``(kind, channels)``, each of which gives so many channels:

    clamp       tanh(x / 3) * 3
    conv        a 3x3 convolution
    conv-relu   the same, and ReLU
    shrink      the same with stride 2, and ReLU
    halve       a 3x3 convolution with stride 2, without bias
    double      every value four times, then a 3x3 convolution without bias
    block       three 3x3 convolutions with ReLU between, added to the input, and ReLU
    pooled      a block, to whose input a branch with group norm is added first
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

Steps = Sequence[tuple[str, int]]

HALVING = ("shrink", "halve")
_GROUPS = 4
_WIDER = 4  # The branch of a pooled block has so many times the channels of its input.


class Clamp(nn.Module):
    """Values drawn smoothly into (-3, 3)."""

    def forward(self, x: Tensor) -> Tensor:
        """The values in their new range."""
        return (x / 3).tanh() * 3


class Double(nn.Module):
    """Twice the height and the width, by repetition."""

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, 2h, 2w)`` of ``(n, c, h, w)``."""
        return functional.interpolate(x, scale_factor=2)


class Block(nn.Module):
    """A residual block; ``pooled`` ones add a branch that sees the whole grid to their input."""

    def __init__(self, inputs: int, outputs: int, *, pooled: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(inputs, outputs),
            nn.ReLU(),
            _conv(outputs, outputs),
            nn.ReLU(),
            _conv(outputs, outputs),
        )
        self.skip: nn.Module = nn.Identity()
        if inputs != outputs:
            self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pool: nn.Module | None = None
        if pooled:
            wide = _WIDER * inputs
            self.pool = nn.Sequential(
                nn.Conv2d(inputs, wide, 1, bias=False),
                nn.GroupNorm(_GROUPS, wide),
                nn.ReLU(),
                nn.Conv2d(wide, inputs, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, outputs, h, w)`` of ``(n, inputs, h, w)``."""
        if self.pool is not None:
            x = x + self.pool(x)
        return functional.relu(self.conv(x) + self.skip(x))


class TinyAutoencoder(nn.Module):
    """Images ``(n, 3, h, w)`` in [0, 1] to grids ``(n, c, h / factor, w / factor)`` and back.

    One half alone is there where ``encoder`` or ``decoder`` is None.

    Raises:
        ValueError: a step of no kind, or no half at all.
    """

    def __init__(self, channels: int, encoder: Steps | None, decoder: Steps | None) -> None:
        super().__init__()
        if encoder is None and decoder is None:
            raise ValueError("it has neither an encoder nor a decoder")
        self.encoder = None if encoder is None else _half(3, encoder, channels)
        self.decoder = None if decoder is None else _half(channels, decoder, 3)

    def encode(self, images: Tensor) -> Tensor:
        """The grids of images."""
        assert self.encoder is not None
        grids: Tensor = self.encoder(images)
        return grids

    def decode(self, grids: Tensor) -> Tensor:
        """Images in [0, 1] of grids."""
        assert self.decoder is not None
        images: Tensor = self.decoder(grids)
        return images.clamp(0, 1)


def factor_of(steps: Steps) -> int:
    """How many pixels a position of the grid has a side."""
    return int(2 ** sum(kind in (*HALVING, "double") for kind, _ in steps))


def _half(inputs: int, steps: Steps, outputs: int) -> nn.Sequential:
    """The layers that the steps describe.

    Raises:
        ValueError: there is no such step, or they end with another number of channels.
    """
    layers: list[nn.Module] = []
    for kind, width in steps:
        if kind not in _STEPS:
            raise ValueError(f"a step {kind!r} is none of {', '.join(_STEPS)}")
        if kind == "clamp" and width != inputs:
            raise ValueError("clamp keeps the number of channels")
        layers.append(_STEPS[kind](inputs, width))
        inputs = width
    if inputs != outputs:
        raise ValueError(f"the last step gives {inputs} channels, not {outputs}")
    return nn.Sequential(*layers)


def _conv(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)


_STEPS: dict[str, Callable[[int, int], nn.Module]] = {
    "clamp": lambda inputs, _: Clamp(),
    "conv": _conv,
    "conv-relu": lambda inputs, outputs: nn.Sequential(_conv(inputs, outputs), nn.ReLU()),
    "shrink": lambda inputs, outputs: nn.Sequential(_conv(inputs, outputs, stride=2), nn.ReLU()),
    "halve": lambda inputs, outputs: _conv(inputs, outputs, stride=2, bias=False),
    "double": lambda inputs, outputs: nn.Sequential(Double(), _conv(inputs, outputs, bias=False)),
    "block": Block,
    "pooled": lambda inputs, outputs: Block(inputs, outputs, pooled=True),
}
