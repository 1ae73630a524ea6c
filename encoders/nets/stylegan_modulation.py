"""The layers of StyleGAN 2's synthesis: convolutions whose input channels are scaled by a style.

With a style s, one scale for each input channel, the result is y_o = d_o conv(x, W s)_o with
d_o = (sum_ik (W_oik s_i)^2 + 1e-8)^(-1/2) (Karras et al., arXiv 1912.04958, section 2.2). Scaling
the activations instead, y_o = d_o conv(x s, W)_o, is the same; d then needs only sum_k W^2, one
product of small matrices. The gain of the activation is put into d, noise and bias, since leaky
ReLU is homogeneous.

Shapes: ``n`` images, ``i`` input and ``o`` output channels, activations ``(n, c, h, w)``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan_convolution import (
    arrange,
    convolve,
    convolve_scaled,
    convolve_up,
    slabs,
)
from latentmap.encoders.nets.stylegan_layers import Derived, smooth, upsample
from latentmap.encoders.nets.stylegan_mapping import Dense
from latentmap.encoders.nets.winograd import TILE, convolve_minimal, transform_weight

# From so many channels and pixels on, minimal filtering is faster on a CPU.
_MINIMAL_CHANNELS, _MINIMAL_PIXELS = 64, 32 * 32
# [1, 3, 3, 1] / 8 with the gain of 2 that inserted zeros ask for in each direction.
_SMOOTH = (0.25, 0.75, 0.75, 0.25)


class _Kernel(NamedTuple):
    """A weight in the layout and precision of its convolution, and its sums of squares (o, i)."""

    weight: Tensor
    squares: Tensor


class StyledConv(nn.Module):
    """A modulated 3x3 convolution, noise, bias and leaky ReLU; ``up`` doubles the size first.

    ``gain`` multiplies the result, which ``clamp`` then bounds.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        resolution: int,
        *,
        up: bool,
        gain: float,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = Dense(w_dim, inputs, bias=1.0)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.noise_const: Tensor
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.up = up
        self.gain = gain
        self.clamp = clamp
        self._kernel = Derived(self._prepare)
        self._minimal_kernel = Derived(self._prepare_minimal)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """Activations ``(n, o, h, w)``, in the precision of ``x``."""
        minimal = self._is_minimal(x, w)
        kernel = (self._minimal_kernel if minimal else self._kernel)(self.weight, x.dtype)
        styles = self.affine(w)
        if x.dtype == torch.float16:
            styles = styles / styles.abs().amax(dim=1, keepdim=True)
        scales = self.gain * (styles.square() @ kernel.squares.t() + 1e-8).rsqrt()
        bias = (self.gain * self.bias).to(x.dtype)
        if noise is not None:
            noise = (self.gain * self.noise_strength * noise).to(x.dtype)
        if minimal:

            def finish(part: Tensor, rows: slice) -> None:
                self._activate_part(part.add_(bias[:, None, None]), noise, rows)

            return convolve_minimal(x, kernel.weight, styles=styles, scales=scales, finish=finish)
        on_weights = self._is_cheaper_on_weights(x)
        scale = self._scale_weights if on_weights else self._scale_activations
        y = scale(x, kernel.weight, styles, scales, bias)
        # The gradient of a convolution with scaled weights needs what it gave.
        return self._activate(y, noise, is_kept=on_weights and not self.up)

    def _activate(self, y: Tensor, noise: Tensor | None, *, is_kept: bool) -> Tensor:
        if y.requires_grad:
            if noise is not None:
                y = y + noise if is_kept else y.add_(noise)
            y = functional.leaky_relu(y, 0.2, inplace=noise is not None or not is_kept)
            return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)
        for rows in slabs(y):
            self._activate_part(y[:, :, rows], noise, rows)
        return y

    def _activate_part(self, part: Tensor, noise: Tensor | None, rows: slice) -> None:
        if noise is not None:
            part.add_(noise[:, :, rows])
        functional.leaky_relu_(part, 0.2)
        if self.clamp is not None:
            part.clamp_(-self.clamp, self.clamp)

    def _is_minimal(self, x: Tensor, w: Tensor) -> bool:
        """Whether the products are worth saving, and no gradient is asked for."""
        if self.up or x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
            return False
        if torch.is_grad_enabled() and any(
            tensor.requires_grad for tensor in (x, w, *self.parameters())
        ):
            return False
        height, width = x.shape[2:]
        large = x.shape[1] >= _MINIMAL_CHANNELS and height * width >= _MINIMAL_PIXELS
        return large and height % TILE == 0 and width % TILE == 0

    def _is_cheaper_on_weights(self, x: Tensor) -> bool:
        """Whether there are fewer weights than activations to scale, for a single image.

        Never where weight or bias are trained: the way over the weights has no gradient for them.
        """
        trained = self.weight.requires_grad or self.bias.requires_grad
        if len(x) != 1 or (torch.is_grad_enabled() and trained):
            return False
        return self.weight.numel() < x.numel() + len(self.weight) * self.noise_const.numel()

    def _scale_weights(
        self, x: Tensor, weight: Tensor, styles: Tensor, scales: Tensor, bias: Tensor
    ) -> Tensor:
        if self.up:
            return smooth(convolve_scaled(x, weight, styles, scales, None, True), _SMOOTH, bias)
        return convolve_scaled(x, weight, styles, scales, bias, False)

    def _scale_activations(
        self, x: Tensor, weight: Tensor, styles: Tensor, scales: Tensor, bias: Tensor
    ) -> Tensor:
        x = x * styles[:, :, None, None].to(x.dtype)
        y = smooth(convolve_up(x, weight), _SMOOTH) if self.up else convolve(x, weight)
        return (y * scales[:, :, None, None].to(x.dtype)).add_(bias[:, None, None])

    def _prepare(self, weight: Tensor, dtype: torch.dtype) -> _Kernel:
        if dtype == torch.float16:
            # Keeps the sums of the convolution in range, as the styles do; the scales undo both.
            weight = weight / weight.abs().amax(dim=(1, 2, 3), keepdim=True)
        squares = weight.square().sum(dim=(2, 3))
        pixels = self.noise_const.numel()
        return _Kernel(arrange(weight.to(dtype), pixels, up=self.up), squares)

    def _prepare_minimal(self, weight: Tensor, dtype: torch.dtype) -> _Kernel:
        return _Kernel(transform_weight(weight.to(dtype)), weight.square().sum(dim=(2, 3)))


class ToRGB(nn.Module):
    """A modulated 1x1 convolution to colours, without demodulation, noise or activation."""

    def __init__(self, inputs: int, colors: int, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(colors, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(colors))
        self.affine = Dense(w_dim, inputs, bias=1.0)
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Colours float32 ``(n, colors, h, w)``."""
        styles = self.affine(w)[:, :, None] / math.sqrt(x.shape[1])
        weights = (self.weight[:, :, 0, 0].t() * styles).to(x.dtype)
        # As a product of matrices it has a weight for each image, and keeps the memory order.
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
        colors = torch.baddbmm(self.bias.to(x.dtype), pixels, weights)
        images: Tensor = colors.to(styles.dtype).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
        return images if self.clamp is None else images.clamp(-self.clamp, self.clamp)


class Shortcut(nn.Module):
    """The shortcut of a residual block: a 1x1 convolution, then twice the size, times sqrt(1/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.gain = math.sqrt(0.5 / inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Activations of twice the size."""
        return upsample(functional.conv2d(x, (self.weight * self.gain).to(x.dtype)))
