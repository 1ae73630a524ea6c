"""3x3 convolutions of StyleGAN 2 in whichever way is fastest for their size.

On a CPU a convolution first brings its weight into an order of its own; of a few pixels, that is
most of the time. There it is a product of matrices instead: of the patches around all pixels with
the weight, or, upwards, of the pixels with the weight, whose results are stamped into the image.

Shapes: activations ``(n, c, h, w)`` in channels-last memory, seen as ``(n, h, w, c)``; patches
``(n, h, w, 9 c)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor
from torch.autograd.function import once_differentiable

# Up to so many pixels products are faster, measured with 512 channels: pixels of one image for
# ``convolve``, of all images for ``convolve_up``.
_PATCHED = 8 * 8
_STAMPED = 32 * 32
# Numbers of activations that a processor core keeps near while they are read again.
_CACHED = 2**17
# Stands for a style of zero, of which no gradient could be told.
_TINY = 1e-20


def arrange(weight: Tensor, pixels: int, *, up: bool) -> Tensor:
    """A weight ``(o, i, 3, 3)`` in the memory order that ``convolve`` wants at ``pixels`` pixels;
    for ``up``, ``(i, o, 3, 3)`` for ``convolve_up``.
    """
    if up:
        return weight.transpose(0, 1).contiguous(memory_format=torch.channels_last)
    if _is_small(weight, pixels, _PATCHED):
        return weight.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
    return weight.contiguous(memory_format=torch.channels_last)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The cross-correlation of x with a weight ``(o, i, 3, 3)``, zeros around x."""
    if bias is not None or not _is_small(x, x.shape[2:].numel(), _PATCHED):
        return functional.conv2d(x, weight, bias, padding=1)
    patches = _gather(functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)), 1)
    y = patches @ weight.permute(2, 3, 1, 0).flatten(0, 2)
    return y.permute(0, 3, 1, 2)


def convolve_up(x: Tensor, weight: Tensor) -> Tensor:
    """The transposed convolution of stride 2 with a weight ``(i, o, 3, 3)``: size 2 h + 1."""
    if not _is_small(x, len(x) * x.shape[2:].numel(), _STAMPED):
        return functional.conv_transpose2d(x, weight, stride=2)
    stamps = x.permute(0, 2, 3, 1) @ weight.permute(0, 2, 3, 1).flatten(1)
    y = _scatter(stamps, 2)
    return y.permute(0, 3, 1, 2)


class _ScaledConvolution(torch.autograd.Function):
    """A convolution of one image whose weight is scaled by ``styles`` ``(1, i)`` over its inputs
    and ``scales`` ``(1, o)`` over its outputs, with gradients for all but the weight and bias.

    A convolution is linear in either scale, so that the gradients of the scales follow from those
    of the activations, ``s_i dL/ds_i = sum_p x_i dL/dx_i``, without the gradient of the weight and
    without a pass over the activations for each scaling.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        styles: Tensor,
        scales: Tensor,
        bias: Tensor | None,
        up: bool,
    ) -> Tensor:
        styles = styles + _TINY * (styles == 0)
        factors = styles.t() * scales if up else scales.t() * styles
        scaled = weight * factors[:, :, None, None].to(x.dtype)
        y = convolve_up(x, scaled) if up else convolve(x, scaled, bias)
        ctx.up = up
        ctx.save_for_backward(x, y, scaled, styles, scales, bias)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y, scaled, styles, scales, bias = ctx.saved_tensors
        inward, _, _ = torch.ops.aten.convolution_backward(
            gradient,
            x,
            scaled,
            None,
            [2, 2] if ctx.up else [1, 1],
            [0, 0] if ctx.up else [1, 1],
            [1, 1],
            ctx.up,
            [0, 0],
            1,
            [True, False, False],
        )
        for_styles = _inner(inward, x, dtype=styles.dtype) / styles
        for_scales = _inner(gradient, y, bias, dtype=styles.dtype) / scales
        return inward, None, for_styles, for_scales, None, None


# (x, weight, styles, scales, bias or None, up), as described above; the result is that of
# ``convolve`` or ``convolve_up``.
convolve_scaled: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor | None, bool], Tensor]
convolve_scaled = _ScaledConvolution.apply


def slabs(x: Tensor) -> list[slice]:
    """Rows of x to work on together: so few that on a CPU they stay in the cache meanwhile."""
    height = x.shape[2]
    step = height
    if x.device.type == "cpu":
        step = max(1, _CACHED // (x.shape[0] * x.shape[1] * x.shape[3]))
    return [slice(i, i + step) for i in range(0, height, step)]


def _inner(a: Tensor, b: Tensor, shift: Tensor | None = None, *, dtype: torch.dtype) -> Tensor:
    """The sum over the pixels of ``a (b - shift)``, ``(n, c)``."""
    total = a.new_zeros(a.shape[:2], dtype=dtype)
    for rows in slabs(a):
        part, other = a[:, :, rows], b[:, :, rows]
        product = other * part if shift is None else (other - shift[:, None, None]).mul_(part)
        total += product.sum(dim=(2, 3), dtype=dtype)
    return total


def _is_small(tensor: Tensor, pixels: int, limit: int) -> bool:
    return tensor.device.type == "cpu" and pixels <= limit


class _Gather(torch.autograd.Function):
    """The 3x3 patches of ``(n, h, w, c)`` at every ``stride``-th place, ``(n, h', w', 9 c)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int) -> Tensor:
        ctx.stride = stride
        patches = x.unfold(1, 3, stride).unfold(2, 3, stride)
        return patches.permute(0, 1, 2, 4, 5, 3).flatten(3)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _scatter(gradient, ctx.stride), None


class _Scatter(torch.autograd.Function):
    """The adjoint of ``_Gather``: the sum of 3x3 patches at every ``stride``-th place."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, stride: int) -> Tensor:
        ctx.stride = stride
        n, height, width, channels = patches.shape
        rows, columns = stride * (height - 1) + 1, stride * (width - 1) + 1
        x = patches.new_zeros(n, rows + 2, columns + 2, channels // 9)
        for place, part in enumerate(patches.chunk(9, dim=3)):
            row, column = divmod(place, 3)
            x[:, row : row + rows : stride, column : column + columns : stride] += part
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _gather(gradient, ctx.stride), None


_gather: Callable[[Tensor, int], Tensor] = _Gather.apply
_scatter: Callable[[Tensor, int], Tensor] = _Scatter.apply
