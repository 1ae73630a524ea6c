"""The filtered activation of StyleGAN 3: to a higher rate, leaky ReLU, and down to the next rate.

The signal at the high rate never stands in one piece: the activation works on its phases as well as
on the whole. All is done for a few channels and rows at a time, which stay near the processor, and
made again for gradients, so that the memory is that of the input.

Shapes: activations ``(n, c, h, w)`` in channels-last memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor
from torch.autograd.function import once_differentiable

from latentmap.encoders.nets.stylegan3_phases import (
    Bank,
    Kernels,
    bank_of,
    lead_down,
    lead_down_back,
    lead_up,
    lead_up_back,
)

_SLOPE = 0.2
# On a CPU: channels that are filtered together, and numbers in each of their phases; measured with
# 32 to 512 channels.
_CHANNELS = 64
_NUMBERS = 2**18
# Elsewhere, so that the memory has a bound.
_NUMBERS_ELSEWHERE = 2**24


def filtered_activation(x: Tensor, kernels: Kernels, size: int, clamp: float | None) -> Tensor:
    """Activations ``(n, c, size, size)`` in the precision of ``x``: filtered up, leaky ReLU,
    bounded by ``clamp``, and filtered down. Gradients flow to ``x`` alone, once.
    """
    return _apply(x, kernels, size, clamp)


class _FilteredActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Kernels, size: int, clamp: float | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.rest = kernels, size, clamp
        y = x.new_empty(len(x), size, size, x.shape[1]).permute(0, 3, 1, 2)
        for slab in _slabs(x, kernels, size):
            y[slab.images, slab.channels, slab.results] = slab.compute(slab.cut(x), clamp)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        kernels, size, clamp = ctx.rest
        inward = torch.zeros_like(x)
        for slab in _slabs(x, kernels, size):
            outward = gradient[slab.images, slab.channels, slab.results]
            slab.add(inward, slab.lead_back(slab.cut(x), outward, clamp))
        return inward, None, None, None


_apply: Callable[[Tensor, Kernels, int, float | None], Tensor] = _FilteredActivation.apply


@dataclass(frozen=True, eq=False)
class _Slab:
    """Some images, channels and rows: the ``results``, and how many ``rows`` and ``columns`` of the
    input go into them, from ``top`` and ``left`` on; zeros stand where there are none.
    """

    images: slice
    channels: slice
    results: slice
    top: int
    left: int
    rows: int
    columns: int
    size: int
    bank: Bank

    def cut(self, x: Tensor) -> Tensor:
        """What of x goes into the results, in the precision of the filters."""
        height, width = x.shape[2:]
        above, below = max(self.top, 0), min(self.top + self.rows, height)
        x = x[self.images, self.channels, above:below].to(self.bank.dtype)
        right = self.left + self.columns - width
        padding = (-self.left, right, above - self.top, self.top + self.rows - below)
        return functional.pad(x, padding).contiguous(memory_format=torch.channels_last)

    def add(self, x: Tensor, change: Tensor) -> None:
        """Adds to x what stands where ``cut`` took it from."""
        height, width = x.shape[2:]
        above, below = max(self.top, 0), min(self.top + self.rows, height)
        left, right = max(self.left, 0), min(self.left + self.columns, width)
        rows = slice(above - self.top, below - self.top)
        columns = slice(left - self.left, right - self.left)
        x[self.images, self.channels, above:below, left:right] += change[:, :, rows, columns]

    def compute(self, x: Tensor, clamp: float | None) -> Tensor:
        """The results ``(n, c, rows, size)`` of what was cut."""
        phases = [[_activate(part, clamp) for part in row] for row in lead_up(x, self.bank)]
        y = lead_down(phases, self.bank)
        return y[:, :, : self.results.stop - self.results.start, : self.size]

    def lead_back(self, x: Tensor, gradient: Tensor, clamp: float | None) -> Tensor:
        """The gradient of what was cut, of that of the results."""
        phases = lead_up(x, self.bank)
        # With zeros for what was made beyond the results.
        height, width = (side - self.bank.reach for side in phases[0][0].shape[2:])
        padding = (0, width - gradient.shape[3], 0, height - gradient.shape[2])
        outward = functional.pad(gradient.to(x.dtype), padding)
        inward = lead_down_back(outward.contiguous(memory_format=torch.channels_last), self.bank)
        pairs = [zip(*rows, strict=True) for rows in zip(phases, inward, strict=True)]
        slopes = [[_activate_back(part, change, clamp) for part, change in row] for row in pairs]
        return lead_up_back(slopes, self.bank)


def _slabs(x: Tensor, kernels: Kernels, size: int) -> Iterator[_Slab]:
    """The parts of x to work on, one after the other."""
    n, channels = x.shape[:2]
    on_cpu = x.device.type == "cpu"
    width = min(channels, _CHANNELS) if on_cpu else channels
    numbers = _NUMBERS if on_cpu else _NUMBERS_ELSEWHERE
    ratio, more, read = kernels.ratio, kernels.down.shape[-1] - 1, kernels.up.shape[-1] - 1
    side = size + more
    images = max(1, min(n, numbers // (width * side * side)))
    # The rows that neighbours share are filtered twice: few of many.
    rows = max(4 * more, numbers // (images * width * side) - more) // ratio * ratio
    bank = bank_of(kernels, width, x)
    for image in range(0, n, images):
        for channel in range(0, channels, width):
            stop = min(channel + width, channels)
            part = bank if stop - channel == width else bank_of(kernels, stop - channel, x)
            for row in range(0, size, rows):
                last = min(row + rows, size)
                yield _Slab(
                    slice(image, min(image + images, n)),
                    slice(channel, stop),
                    slice(row, last),
                    top=row // ratio + kernels.start,
                    left=kernels.start,
                    rows=-(-(last - row + more) // ratio) + read,
                    columns=-(-side // ratio) + read,
                    size=size,
                    bank=part,
                )


def _activate(x: Tensor, clamp: float | None) -> Tensor:
    x = functional.leaky_relu_(x, _SLOPE)
    return x if clamp is None else x.clamp_(-clamp, clamp)


def _activate_back(x: Tensor, gradient: Tensor, clamp: float | None) -> Tensor:
    y = functional.leaky_relu_(x, _SLOPE)
    if clamp is not None:
        gradient = torch.ops.aten.hardtanh_backward(gradient, y, -clamp, clamp)
    back: Tensor = torch.ops.aten.leaky_relu_backward(gradient, y, _SLOPE, True)
    return back
