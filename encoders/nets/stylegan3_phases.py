"""Filters of StyleGAN 3 by phases: up to a higher rate and down again without inserted zeros.

Upsampling by P is P filters, each of a P-th of the taps. Their results make up phases of the
signal, every D-th sample from the d-th on, where D is the factor of the way down, which is then a
sum of filters of phases.

Shapes: signals ``(n, c, h, w)`` in channels-last memory; kernels ``(c, 1, h, w)``, one for each
channel and all alike; phases are lists, of rows and therein of columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor

from latentmap.encoders.nets.stylegan3_geometry import Resampling

Phases = list[list[Tensor]]


class Kernels(NamedTuple):
    """The filters of a layer: ``up`` (p, k) reads from the ``start``-th sample on; ``down`` is by
    phases (d, k), or (d, d', k, k') where it is not separable.
    """

    up: Tensor
    start: int
    down: Tensor

    @property
    def ratio(self) -> int:
        """Results for each sample of the input."""
        return len(self.up) // len(self.down)


def split_up(taps: Tensor, plan: Resampling, *, gain: float) -> Tensor:
    """The filter up by phases (p, k), of its taps.

    Sample P q + p of the high rate is the sum of ``taps[P (q - i) + shift + p]`` times sample i of
    the input, and times ``gain``, which leaky ReLU passes on.
    """
    rate, shift = plan.up, plan.up_taps - 1 - plan.before
    reads = torch.arange(plan.start, (shift + rate - 1) // rate + 1)
    # What inserted zeros take away, in each direction; the gain is shared by both.
    scale = rate * math.sqrt(gain)
    return scale * _pick(taps, shift + torch.arange(rate)[:, None] - rate * reads)


def split_down(taps: Tensor, plan: Resampling) -> Tensor:
    """The filter down by phases, of its taps in one direction (d, k) or in two (d, d', k, k').

    Result u is the sum of ``taps[last - D k - d]`` times sample u + k of phase d.
    """
    d, k = torch.arange(plan.down), torch.arange(-(-plan.down_taps // plan.down))
    places = plan.down_taps - 1 - d[:, None] - plan.down * k
    picked = _pick(taps, places)
    if taps.ndim == 1:
        return picked
    return _pick(picked.movedim(-1, 0), places).permute(2, 0, 3, 1)


def _pick(taps: Tensor, places: Tensor) -> Tensor:
    """The taps at some places, zero where there are none."""
    inside = ((places >= 0) & (places < len(taps))).to(taps)
    picked = taps[places.clamp(0, len(taps) - 1).to(taps.device)]
    return picked * inside.reshape(*inside.shape, *[1] * (picked.ndim - inside.ndim))


class Bank(NamedTuple):
    """The filters as depthwise kernels for some channels, by phases: ``up`` across and along, for
    each phase those of its parts; ``down`` across and along, or both at once.
    """

    up_across: list[list[Tensor]]
    up_along: list[list[Tensor]]
    down_across: list[Tensor]
    down_along: list[Tensor]
    down: list[Tensor]

    @property
    def dtype(self) -> torch.dtype:
        """That of the kernels."""
        return self.up_across[0][0].dtype

    @property
    def reach(self) -> int:
        """Rows, or columns, of a phase that go into a result beside the first."""
        return (self.down or self.down_along)[0].shape[2] - 1


def bank_of(kernels: Kernels, channels: int, like: Tensor) -> Bank:
    """The filters for so many channels, in float32 at least, where ``like`` is."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32

    def depthwise(taps: Tensor) -> Tensor:
        return taps.to(like.device, dtype).expand(channels, 1, -1, -1).contiguous()

    factor = len(kernels.down)
    # Those of one phase stand next to each other.
    up = [kernels.up[d::factor] for d in range(factor)]
    separable = kernels.down.ndim == 2
    return Bank(
        up_across=[[depthwise(taps[None]) for taps in phase] for phase in up],
        up_along=[[depthwise(taps[:, None]) for taps in phase] for phase in up],
        down_across=[depthwise(taps[None]) for taps in kernels.down] if separable else [],
        down_along=[depthwise(taps[:, None]) for taps in kernels.down] if separable else [],
        down=[] if separable else [depthwise(taps) for taps in kernels.down.flatten(0, 1)],
    )


def lead_up(x: Tensor, bank: Bank) -> Phases:
    """The signal at the high rate."""
    columns = [_interleave([_filter(x, part) for part in phase], 3) for phase in bank.up_across]
    return [
        [_interleave([_filter(y, part) for part in phase], 2) for y in columns]
        for phase in bank.up_along
    ]


def lead_up_back(phases: Phases, bank: Bank) -> Tensor:
    """The adjoint of ``lead_up``."""
    kernels = [part for phase in bank.up_along for part in phase]
    columns = []
    for column in zip(*phases, strict=True):
        parts = [part for phase in column for part in _part(phase, len(bank.up_along[0]), 2)]
        columns.append(_filter_all_back(parts, kernels))
    parts = [part for phase in columns for part in _part(phase, len(bank.up_across[0]), 3)]
    return _filter_all_back(parts, [part for phase in bank.up_across for part in phase])


def _interleave(parts: Sequence[Tensor], axis: int) -> Tensor:
    """One signal of which each part has every so manieth row (axis 2) or column (3)."""
    if len(parts) == 1:
        return parts[0]
    # Stacked as they lie in memory, with the channels last.
    lying = [part.permute(0, 2, 3, 1) for part in parts]
    return torch.stack(lying, dim=axis).flatten(axis - 1, axis).permute(0, 3, 1, 2)


def _part(x: Tensor, count: int, axis: int) -> Sequence[Tensor]:
    """The parts of which ``_interleave`` made a signal."""
    if count == 1:
        return (x,)
    parts = x.unflatten(axis, (-1, count)).unbind(axis + 1)
    return [part.contiguous(memory_format=torch.channels_last) for part in parts]


def lead_down(phases: Phases, bank: Bank) -> Tensor:
    """The results at the low rate."""
    if bank.down:
        return _filter_all([part for row in phases for part in row], bank.down)
    columns = [_filter_all(column, bank.down_along) for column in zip(*phases, strict=True)]
    return _filter_all(columns, bank.down_across)


def lead_down_back(results: Tensor, bank: Bank) -> Phases:
    """The adjoint of ``lead_down``."""
    if bank.down:
        flat = [_filter_back(results, kernel) for kernel in bank.down]
        factor = len(bank.up_along)
        return [flat[i : i + factor] for i in range(0, len(flat), factor)]
    columns = [_filter_back(results, kernel) for kernel in bank.down_across]
    return [[_filter_back(column, kernel) for column in columns] for kernel in bank.down_along]


def _filter_all(parts: Sequence[Tensor], kernels: Sequence[Tensor]) -> Tensor:
    """The sum of all parts, each filtered by its kernel."""
    total, *others = map(_filter, parts, kernels)
    for other in others:
        total += other
    return total


def _filter_all_back(parts: Sequence[Tensor], kernels: Sequence[Tensor]) -> Tensor:
    """The sum of all parts, each led back through its kernel."""
    total, *others = map(_filter_back, parts, kernels)
    for other in others:
        total += other
    return total


def _filter(x: Tensor, kernel: Tensor) -> Tensor:
    return functional.conv2d(x, kernel, groups=x.shape[1])


def _filter_back(x: Tensor, kernel: Tensor) -> Tensor:
    """The adjoint of ``_filter``; the kernel turned around is faster than a transposed filter."""
    height, width = kernel.shape[2:]
    turned = kernel.flip(2, 3)
    return functional.conv2d(x, turned, padding=(height - 1, width - 1), groups=x.shape[1])
