"""The filtered activation of StyleGAN 3: to a higher rate, leaky ReLU, and down to the next rate.

The signal at the high rate never stands in one piece. Upsampling by P is P filters, each of a P-th
of the taps, whose results are its phases, every P-th sample from the p-th on; no product is made
with an inserted zero. The activation works on phases as well as on the whole, and the filter that
leads down takes them as they are. All of this is done for a few channels and rows at a time, which
stay near the processor, and made again for gradients, so that the memory is that of the input.

Shapes: activations ``(n, c, h, w)`` in channels-last memory; kernels ``(c, 1, h, w)``, one for each
channel and all alike; phases are lists, of rows and therein of columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor
from torch.autograd.function import once_differentiable

from latentmap.encoders.nets.stylegan3_geometry import Resampling

_SLOPE = 0.2
# On a CPU: channels that are filtered together, and numbers in each of their phases; measured with
# 32 to 512 channels.
_CHANNELS = 64
_NUMBERS = 2**20
# Elsewhere, so that the memory has a bound.
_NUMBERS_ELSEWHERE = 2**24

Phases = list[list[Tensor]]


class Kernels(NamedTuple):
    """The filters of a layer by phases: ``up`` (p, k) reads from the ``start``-th sample on;
    ``down`` is (v, p, k), or (v, v', p, p', k, k') where it is not separable, for v out of
    ``stride`` results.
    """

    up: Tensor
    start: int
    down: Tensor
    stride: int


def split(up: Tensor, down: Tensor, plan: Resampling, *, gain: float) -> Kernels:
    """The filters by phases, of those of the layer: ``up`` (taps), ``down`` (taps) or (taps, taps).

    Phase p of the high rate, at P q + p, is the sum of ``up[P (q - i) + shift + p]`` times sample
    i, and of ``gain``, which leaky ReLU passes on. Result v, at stride u + v, is the sum of
    ``down[last + D v - P k - p]`` times phase p at u + k.
    """
    rate, stride = plan.up, plan.up // plan.down
    shift, last = plan.up_taps - 1 - plan.before, plan.down_taps - 1
    start, end = -(plan.before // rate), (shift + rate - 1) // rate
    places = shift + torch.arange(rate)[:, None] - rate * torch.arange(start, end + 1)
    # What inserted zeros take away, in each direction; the gain is shared by both.
    upward = rate * math.sqrt(gain) * _pick(up, places)
    reach = (last + plan.down * (stride - 1)) // rate + 1
    v, p, k = torch.arange(stride), torch.arange(rate), torch.arange(reach)
    places = last + plan.down * v[:, None, None] - p[:, None] - rate * k
    downward = _pick(down, places)
    if down.ndim == 2:
        downward = _pick(downward.movedim(-1, 0), places).permute(3, 0, 4, 1, 5, 2)
    return Kernels(upward, start, downward, stride)


def _pick(taps: Tensor, places: Tensor) -> Tensor:
    """The taps at some places, zero where there are none."""
    inside = ((places >= 0) & (places < len(taps))).to(taps)
    picked = taps[places.clamp(0, len(taps) - 1).to(taps.device)]
    return picked * inside.reshape(*inside.shape, *[1] * (picked.ndim - inside.ndim))


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
            with torch.enable_grad():
                part = slab.cut(x).requires_grad_()
                y = slab.compute(part, clamp)
            outward = gradient[slab.images, slab.channels, slab.results].to(y)
            (change,) = torch.autograd.grad(y, part, outward)
            slab.add(inward, change)
        return inward, None, None, None


_apply: Callable[[Tensor, Kernels, int, float | None], Tensor] = _FilteredActivation.apply


class _Bank(NamedTuple):
    """The filters as depthwise kernels for some channels; ``down`` by results and phases."""

    across: list[Tensor]
    along: list[Tensor]
    down_across: list[list[Tensor]]
    down_along: list[list[Tensor]]
    down: list[list[list[list[Tensor]]]]


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
    bank: _Bank

    def cut(self, x: Tensor) -> Tensor:
        """What of x goes into the results, in the precision of the filters."""
        height, width = x.shape[2:]
        above, below = max(self.top, 0), min(self.top + self.rows, height)
        x = x[self.images, self.channels, above:below].to(self.bank.across[0].dtype)
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
        parts = _down(_up(x, self.bank, clamp), self.bank)
        if len(parts) == 1:
            y = parts[0][0]
        else:
            stride, (height, width) = len(parts), parts[0][0].shape[2:]
            rows = torch.stack([torch.stack(row, dim=-1).flatten(3) for row in parts], dim=3)
            y = rows.view(len(x), x.shape[1], stride * height, stride * width)
        return y[:, :, : self.results.stop - self.results.start, : self.size]


def _slabs(x: Tensor, kernels: Kernels, size: int) -> Iterator[_Slab]:
    """The parts of x to work on, one after the other."""
    n, channels = x.shape[:2]
    on_cpu = x.device.type == "cpu"
    width = min(channels, _CHANNELS) if on_cpu else channels
    numbers = _NUMBERS if on_cpu else _NUMBERS_ELSEWHERE
    steps = -(-size // kernels.stride)
    more = kernels.down.shape[-1] - 1
    read = more + kernels.up.shape[-1] - 1
    side = steps + more
    images = max(1, min(n, numbers // (width * side * side)))
    # The rows that neighbours share are filtered twice: few of many.
    rows = max(4 * more, numbers // (images * width * side) - more)
    bank = _bank(kernels, width, x)
    for image in range(0, n, images):
        for channel in range(0, channels, width):
            stop = min(channel + width, channels)
            part = bank if stop - channel == width else _bank(kernels, stop - channel, x)
            for row in range(0, steps, rows):
                last = min(row + rows, steps)
                yield _Slab(
                    slice(image, min(image + images, n)),
                    slice(channel, stop),
                    slice(kernels.stride * row, min(kernels.stride * last, size)),
                    top=row + kernels.start,
                    left=kernels.start,
                    rows=last - row + read,
                    columns=steps + read,
                    size=size,
                    bank=part,
                )


def _bank(kernels: Kernels, channels: int, like: Tensor) -> _Bank:
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32

    def depthwise(taps: Tensor) -> Tensor:
        return taps.to(like.device, dtype).expand(channels, 1, -1, -1).contiguous()

    def each(taps: Tensor, axes: int) -> Any:
        return depthwise(taps) if axes == 0 else [each(part, axes - 1) for part in taps]

    up, down = kernels.up, kernels.down
    separable = down.ndim == 3
    return _Bank(
        across=each(up[:, None], 1),
        along=each(up[:, :, None], 1),
        down_across=each(down[:, :, None], 2) if separable else [],
        down_along=each(down[..., None], 2) if separable else [],
        down=[] if separable else each(down, 4),
    )


def _up(x: Tensor, bank: _Bank, clamp: float | None) -> Phases:
    """The activations at the high rate."""
    columns = [_filter(x, kernel) for kernel in bank.across]
    return [[_activate(_filter(y, kernel), clamp) for y in columns] for kernel in bank.along]


def _activate(x: Tensor, clamp: float | None) -> Tensor:
    x = functional.leaky_relu_(x, _SLOPE)
    if clamp is None:
        return x
    return x.clamp(-clamp, clamp) if x.requires_grad else x.clamp_(-clamp, clamp)


def _down(phases: Phases, bank: _Bank) -> Phases:
    """The results at the low rate, themselves by phases where they are more than the input."""
    if bank.down:
        flat = [part for row in phases for part in row]
        return [
            [_filter_all(flat, [kernel for row in kernels for kernel in row]) for kernels in result]
            for result in bank.down
        ]
    columns = [*zip(*phases, strict=True)]
    rows = [[_filter_all(column, kernels) for column in columns] for kernels in bank.down_along]
    return [[_filter_all(row, kernels) for kernels in bank.down_across] for row in rows]


def _filter_all(parts: Sequence[Tensor], kernels: Sequence[Tensor]) -> Tensor:
    """The sum of all parts, each filtered by its kernel."""
    total, *others = map(_filter, parts, kernels)
    for other in others:
        total += other
    return total


def _filter(x: Tensor, kernel: Tensor) -> Tensor:
    return functional.conv2d(x, kernel, groups=x.shape[1])
