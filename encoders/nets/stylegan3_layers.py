"""The layers of StyleGAN 3's synthesis: Fourier features, and modulated convolutions between them.

Shapes: ``n`` images, w ``(n, w_dim)``, ``i`` input and ``o`` output channels, activations
``(n, c, h, w)`` in channels-last memory.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan3_filters import low_pass, radial_low_pass
from latentmap.encoders.nets.stylegan3_geometry import Resampling, Signal, resampling
from latentmap.encoders.nets.stylegan3_phases import Kernels, split_down, split_up
from latentmap.encoders.nets.stylegan3_resampling import filtered_activation
from latentmap.encoders.nets.stylegan_layers import Derived
from latentmap.encoders.nets.stylegan_mapping import Dense
from latentmap.encoders.nets.stylegan_modulation import ToRGB
from latentmap.encoders.nets.winograd import TILE, convolve_minimal, transform_weight

_GAIN = math.sqrt(2)
_EPSILON = 1e-8
# From so many channels on, minimal filtering is faster on a CPU.
_MINIMAL_CHANNELS = 64


class FourierInput(nn.Module):
    """Sines of all positions, of which w says how they are turned and moved.

    The frequencies of a new one are spread evenly over the disc that the first layer lets pass.
    """

    def __init__(self, signal: Signal, w_dim: int) -> None:
        super().__init__()
        channels = signal.channels
        self.signal = signal
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = Dense(w_dim, 4)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias[0] = 1
        self.freqs: Tensor
        self.phases: Tensor
        self.transform: Tensor
        radius, angle = torch.rand(channels, 1).sqrt(), 2 * math.pi * torch.rand(channels, 1)
        directions = torch.cat([angle.cos(), angle.sin()], dim=1)
        self.register_buffer("freqs", signal.cutoff * radius * directions)
        self.register_buffer("phases", torch.rand(channels) - 0.5)
        self.register_buffer("transform", torch.eye(3))

    def forward(self, w: Tensor) -> Tensor:
        """Features ``(n, c, size, size)``, in the precision of w."""
        signal = self.signal
        matrix = self._inverse(self.affine(w))
        moved = self.phases + matrix[:, :2, 2] @ self.freqs.t()
        turned = self.freqs @ matrix[:, :2, :2]
        above = torch.linalg.vector_norm(turned, dim=2) - signal.cutoff
        amplitude = (1 - above / (signal.rate / 2 - signal.cutoff)).clamp(0, 1)
        place = torch.arange(signal.size, device=w.device, dtype=w.dtype) + 0.5 - signal.size / 2
        place = place / signal.rate
        # The sine of a sum over both directions, whose parts are each of one direction alone.
        x, y = (2 * math.pi * (place[:, None] * turned[:, None, :, axis]) for axis in (0, 1))
        waves = torch.sin(x[:, None] + (y + 2 * math.pi * moved[:, None])[:, :, None])
        features: Tensor = (
            waves * amplitude[:, None, None] @ (self.weight.t() / len(self.weight) ** 0.5)
        )
        return features.permute(0, 3, 1, 2)

    def _inverse(self, pose: Tensor) -> Tensor:
        """The matrix ``(n, 3, 3)`` that moves positions the other way than the image goes."""
        a, b, x, y = (pose / torch.linalg.vector_norm(pose[:, :2], dim=1, keepdim=True)).unbind(1)
        zero, one = torch.zeros_like(a), torch.ones_like(a)
        turn = torch.stack([a, -b, zero, b, a, zero, zero, zero, one], dim=1).view(-1, 3, 3)
        shift = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], dim=1).view(-1, 3, 3)
        return turn @ shift @ self.transform


class _Kernel(NamedTuple):
    """A weight whose outputs have the norm 1 each, in the layout of its convolution, and its sums
    of squares (o, i).
    """

    weight: Tensor
    squares: Tensor


class FilteredConv(nn.Module):
    """A modulated convolution, bias, and the activation between two low-pass filters.

    The convolution has zeros around its input, so many that every result with a part of it is
    there. ``magnitude_ema`` is the mean square of the input, as training has followed it, which is
    brought to 1.
    """

    def __init__(
        self,
        source: Signal,
        target: Signal,
        w_dim: int,
        *,
        kernel: int,
        radial: bool,
        clamp: float | None,
    ) -> None:
        super().__init__()
        inputs, outputs = source.channels, target.channels
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = Dense(w_dim, inputs, bias=1.0)
        self.plan = resampling(source, target, kernel)
        self.clamp = clamp
        self.magnitude_ema: Tensor
        self.up_filter: Tensor
        self.down_filter: Tensor
        self.register_buffer("magnitude_ema", torch.ones(()))
        up, down = design(source, target, self.plan, radial=radial)
        self.register_buffer("up_filter", up)
        self.register_buffer("down_filter", down)
        self._kernel = Derived(self._prepare)
        self._minimal_kernel = Derived(self._prepare_minimal)
        self._up = Derived(self._split_up)
        self._down = Derived(self._split_down)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Activations ``(n, o, size, size)``, in the precision of ``x``."""
        styles = self.affine(w)
        # An image's own root mean square, in place of the batch's: demodulation cancels either.
        styles = styles * styles.square().mean(dim=1, keepdim=True).rsqrt()
        dtype = torch.promote_types(x.dtype, torch.float32)
        up, down = self._up(self.up_filter, dtype), self._down(self.down_filter, dtype)
        filters = Kernels(up, self.plan.start, down)
        return filtered_activation(self._convolve(x, styles), filters, self.plan.size, self.clamp)

    def _convolve(self, x: Tensor, styles: Tensor) -> Tensor:
        size = self.weight.shape[-1]
        bias = self.bias.to(x.dtype)
        needs_gradient = torch.is_grad_enabled() and any(
            tensor.requires_grad for tensor in (x, styles, *self.parameters())
        )
        if not needs_gradient and self._is_minimal(x):
            kernel = self._minimal_kernel(self.weight, x.dtype)
            return _convolve_around(x, kernel.weight, styles, self._scales(kernel, styles), bias)
        kernel = self._kernel(self.weight, x.dtype)
        scales = self._scales(kernel, styles)
        if not needs_gradient and size == 1:
            weights = kernel.weight[:, :, 0, 0].t() * styles[:, :, None] * scales[:, None]
            pixels = x.permute(0, 2, 3, 1)
            rows = torch.baddbmm(bias, pixels.flatten(1, 2), weights.to(x.dtype))
            y: Tensor = rows.unflatten(1, pixels.shape[1:3]).permute(0, 3, 1, 2)
            return y
        x = x * styles[:, :, None, None].to(x.dtype)
        y = functional.conv2d(x, kernel.weight, padding=size - 1)
        return torch.addcmul(bias[:, None, None], y, scales[:, :, None, None].to(x.dtype))

    def _scales(self, kernel: _Kernel, styles: Tensor) -> Tensor:
        """What the results of the normalised weight are multiplied by, ``(n, o)``."""
        epsilon = _EPSILON / self.weight[0].numel()
        demodulation = (styles.square() @ kernel.squares.t() + epsilon).rsqrt()
        return demodulation * self.magnitude_ema.rsqrt()

    def _is_minimal(self, x: Tensor) -> bool:
        """Whether the products of a convolution are worth saving."""
        if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
            return False
        return self.weight.shape[-1] == 3 and x.shape[1] >= _MINIMAL_CHANNELS

    def _prepare(self, weight: Tensor, dtype: torch.dtype) -> _Kernel:
        weight = weight * weight.square().sum(dim=(1, 2, 3), keepdim=True).rsqrt()
        squares = weight.square().sum(dim=(2, 3))
        return _Kernel(weight.to(dtype, memory_format=torch.channels_last), squares)

    def _prepare_minimal(self, weight: Tensor, dtype: torch.dtype) -> _Kernel:
        kernel = self._prepare(weight, dtype)
        return kernel._replace(weight=transform_weight(kernel.weight))

    def _split_up(self, taps: Tensor, dtype: torch.dtype) -> Tensor:
        return split_up(taps.to(dtype), self.plan, gain=_GAIN)

    def _split_down(self, taps: Tensor, dtype: torch.dtype) -> Tensor:
        return split_down(taps.to(dtype), self.plan)


class Colors(ToRGB):
    """A modulated 1x1 convolution to colours, of an input whose mean square is brought to 1."""

    def __init__(self, inputs: int, colors: int, w_dim: int, clamp: float | None) -> None:
        super().__init__(inputs, colors, w_dim, clamp)
        self.magnitude_ema: Tensor
        self.register_buffer("magnitude_ema", torch.ones(()))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Colours float32 ``(n, colors, h, w)``."""
        return super().forward(x * self.magnitude_ema.rsqrt().to(x.dtype), w)


def design(
    source: Signal, target: Signal, plan: Resampling, *, radial: bool
) -> tuple[Tensor, Tensor]:
    """The filters of a layer, upwards ``(taps,)`` and downwards ``(taps,)``; the latter is
    ``(taps, taps)``, alike in all directions, where ``radial``.
    """
    rate = plan.up * source.rate
    up = low_pass(plan.up_taps, cutoff=source.cutoff, width=2 * source.half_width, rate=rate)
    downwards = radial_low_pass if radial and not target.is_critical else low_pass
    width = 2 * target.half_width
    return up, downwards(plan.down_taps, cutoff=target.cutoff, width=width, rate=rate)


def _convolve_around(
    x: Tensor, kernel: Tensor, styles: Tensor, scales: Tensor, bias: Tensor
) -> Tensor:
    """``scales conv(styles x) + bias`` by minimal filtering, two zeros around x."""
    height, width = x.shape[2] + 2, x.shape[3] + 2
    padding = (1, 1 + -width % TILE, 1, 1 + -height % TILE)

    def finish(part: Tensor, rows: slice) -> None:
        part.add_(bias[:, None, None])

    padded = functional.pad(x, padding)
    y = convolve_minimal(padded, kernel, styles=styles, scales=scales, finish=finish)
    return y[:, :, :height, :width]
