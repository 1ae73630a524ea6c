"""What the layers of StyleGAN 3 pass on: signals of rising rate and bandwidth.

A signal is sampled ``rate`` times along the side of the image and reaches over it by a margin, so
that what a filter sees at the border is content too (Karras et al., arXiv 2106.12423, section 3.2).
Frequencies are in cycles per side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Taps of a filter for each sample of the lower of its two rates.
_TAPS = 6
# Of the rate that the activation works at and the higher of the two around it.
_HEADROOM = 2
_LARGEST = 2048
_WIDEST_MARGIN = 64


@dataclass(frozen=True)
class Signal:
    """What a layer gives: its channels, its pixels a side, its rate, the frequency where its
    low-pass filter has fallen to a half, and half the width of the fall.

    ``is_critical`` says that the filter falls around half the rate: nothing is left for alias.
    """

    channels: int
    size: int
    rate: int
    cutoff: float
    half_width: float
    is_critical: bool


@dataclass(frozen=True)
class Resampling:
    """From one signal to the next: by ``up`` with a filter of ``up_taps``, the activation, and by
    ``down`` with ``down_taps``; ``before`` zeros, or fewer than none, stand before the samples.
    """

    up: int
    down: int
    up_taps: int
    down_taps: int
    before: int
    size: int

    @property
    def start(self) -> int:
        """The first sample of the input that goes into the first one of the high rate."""
        return -(self.before // self.up)


def signals(config: Mapping[str, Any]) -> list[Signal]:
    """The signals of all layers, the last of which is the image.

    ``config``: ``image_shape``; ``channels``, the widths of the layers before the colours;
    ``critical``, how many layers have no margin of frequencies; ``first_cutoff``,
    ``first_stopband``, ``last_stopband_rel`` (that of the last layer over its cutoff), and
    ``margin``, the pixels around the image.

    Raises:
        ValueError: they describe no such network.
    """
    colors, size, _ = config["image_shape"]
    widths = [int(width) for width in config["channels"]]
    count, critical, margin = len(widths), int(config["critical"]), int(config["margin"])
    if not (8 <= size <= _LARGEST and size & (size - 1) == 0):
        raise ValueError(f"the size is a power of two from 8 to {_LARGEST}, not {size}")
    if not (1 <= critical < count and 0 <= margin <= _WIDEST_MARGIN):
        raise ValueError(f"{count} layers, {critical} of them critical, margin {margin}")
    first, stop = float(config["first_cutoff"]), float(config["first_stopband"])
    last, last_stop = size / 2, size / 2 * float(config["last_stopband_rel"])
    if not (0 < first < last and first < stop <= last_stop):
        raise ValueError(f"cutoffs from {first} to {last}, stopbands from {stop} to {last_stop}")
    made = []
    for i, width in enumerate([*widths, int(colors)]):
        part = min(i / (count - critical), 1)
        cutoff, stopband = first * (last / first) ** part, stop * (last_stop / stop) ** part
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, size)))
        half_width = max(stopband, rate / 2) - cutoff
        side = size if i >= count - 1 else rate + 2 * margin
        made.append(Signal(width, side, rate, cutoff, half_width, i >= count - critical))
    if not all(signal.half_width > 0 for signal in made):
        raise ValueError("a filter has no room to fall in")
    return made


def resampling(source: Signal, target: Signal, kernel: int) -> Resampling:
    """How a layer with a convolution of ``kernel`` pixels a side, fully padded, gets from one
    signal to the next.
    """
    between = _HEADROOM * max(source.rate, target.rate)
    up, down = between // source.rate, between // target.rate
    up_taps, down_taps = (_TAPS * factor if factor > 1 else 1 for factor in (up, down))
    needed = (target.size - 1) * down + 1 + up_taps + down_taps - 2
    total = needed - (source.size + kernel - 1) * up
    return Resampling(up, down, up_taps, down_taps, (total + up) // 2, target.size)
