"""Codes as vectors of channels at positions: what every space is, whatever its shape.

Shapes: ``n`` images, ``p`` positions, ``c`` channels. A grid ``(c, h, w)`` has ``h w`` positions, a
row of vectors ``(tokens, d)`` has ``tokens`` positions of ``d`` channels, and a vector is one
position, of which each variable is a channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def channels_of(shape: Sequence[int]) -> tuple[int, int]:
    """How many channels codes of a ``shape`` have, and at how many positions.

    Example:
        >>> channels_of((32, 16, 16)), channels_of((197, 768)), channels_of((64,))
        ((32, 256), (768, 197), (64, 1))
    """
    channels = shape[-1] if len(shape) == 2 else shape[0]
    return channels, math.prod(shape) // channels


def word_of(shape: Sequence[int]) -> str:
    """What the numbers of codes of a ``shape`` are called where each has a name: ``variable`` of
    vectors, ``channel`` of all others.
    """
    return "variable" if len(shape) == 1 else "channel"


def channel_numbers(shape: Sequence[int]) -> np.ndarray:
    """The channel ``(d,)`` that each variable of flat codes of a ``shape`` is of.

    Example:
        >>> channel_numbers((2, 1, 2)).tolist(), channel_numbers((2, 2)).tolist()
        ([0, 0, 1, 1], [0, 1, 0, 1])
    """
    channels, positions = channels_of(shape)
    numbers = np.arange(channels)
    return np.tile(numbers, positions) if len(shape) == 2 else np.repeat(numbers, positions)


def by_position(codes: Tensor, shape: Sequence[int]) -> Tensor:
    """Flat codes ``(n, d)`` of a ``shape`` as ``(n, p, c)``; a view."""
    channels, positions = channels_of(shape)
    if len(shape) == 2:
        return codes.reshape(-1, positions, channels)
    return codes.reshape(-1, channels, positions).transpose(1, 2)
