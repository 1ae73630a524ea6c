"""The discriminator of StyleGAN 2: residual blocks down to 4 pixels (arXiv 1912.04958, 4.1).

Shapes: ``n`` images ``(n, c, r, r)`` in about [-1, 1], activations ``(n, c, h, w)`` in
channels-last memory, logits ``(n,)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan_mapping import Dense

GROUP = 4
_TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


class Discriminator(nn.Module):
    """How real images look, one logit each.

    ``channels`` are the widths from 4 pixels to the full size, as in the generator.

    Raises:
        ValueError: they are not those of the size.
    """

    def __init__(self, image_shape: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        colors, self.resolution, _ = image_shape
        resolutions = [4 * 2**i for i in range(len(channels))]
        if resolutions[-1:] != [self.resolution]:
            raise ValueError(f"{len(channels)} widths are not those of {self.resolution} pixels")
        self.fromrgb = Convolution(colors, channels[-1], size=1)
        self.downwards = resolutions[:0:-1]
        for i in range(len(channels) - 1, 0, -1):
            self.add_module(f"b{resolutions[i]}", Block(channels[i], channels[i - 1]))
        self.b4 = End(channels[0])

    def forward(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The logits of images; ``dtype`` is that of the convolutions above 4 pixels.

        The images are a whole number of groups of ``GROUP``, or fewer than one.
        """
        x = self.fromrgb(images.to(dtype)).contiguous(memory_format=torch.channels_last)
        for r in self.downwards:
            x = self.get_submodule(f"b{r}")(x)
        logits: Tensor = self.b4(x.float())
        return logits


class Block(nn.Module):
    """Two convolutions to half the size, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = Convolution(inputs, inputs, size=3)
        # Half the variance comes from the shortcut: both sides times sqrt(1/2).
        self.conv1 = Convolution(inputs, outputs, size=3, stride=2, gain=1.0)
        self.skip = Shortcut(inputs, outputs)
        self.smooth: Tensor
        kernel = torch.outer(torch.tensor(_TAPS), torch.tensor(_TAPS)).expand(inputs, 1, 4, 4)
        self.register_buffer("smooth", kernel.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Activations ``(n, outputs, h/2, w/2)`` of ``(n, inputs, h, w)``."""
        kernel = self.smooth.to(x.dtype)
        half = _smooth(x, kernel, 1)[:, :, ::2, ::2]
        smoothed = _smooth(self.conv0(x), kernel, 2)
        return self.conv1(smoothed) + self.skip(half)  # type: ignore[no-any-return]


class _Smooth(torch.autograd.Function):
    """Every channel filtered by a symmetric 4x4 kernel, with ``padding`` zeros around it.

    The adjoint is the same with other padding. Autograd does not know that, and computes a gradient
    of the kernel, channel by channel, where it differentiates twice.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.padding = padding
        return functional.conv2d(x, kernel, padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (kernel,) = ctx.saved_tensors
        return _smooth(gradient, kernel, 3 - ctx.padding), None, None


_smooth: Callable[[Tensor, Tensor, int], Tensor] = _Smooth.apply


class Shortcut(nn.Module):
    """A 1x1 convolution without bias, times sqrt(1/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.gain = math.sqrt(0.5 / inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Activations ``(n, outputs, h, w)``, in the precision of ``x``."""
        return functional.conv2d(x, (self.weight * self.gain).to(x.dtype))


class Convolution(nn.Module):
    """A convolution with equalised learning rate, bias and leaky ReLU, times ``gain``.

    With stride 2 it takes no zeros around x, which was smoothed beyond its edges.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        size: int,
        stride: int = 1,
        gain: float = math.sqrt(2),
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.stride = stride
        self.padding = size // 2 if stride == 1 else 0
        self.gain = gain
        self.weight_gain = gain / math.sqrt(inputs * size**2)

    def forward(self, x: Tensor) -> Tensor:
        """Activations ``(n, outputs, h, w)``, in the precision of ``x``."""
        # The gain goes into weight and bias, since leaky ReLU is homogeneous.
        weight = (self.weight * self.weight_gain).to(x.dtype)
        bias = (self.bias * self.gain).to(x.dtype)
        x = functional.conv2d(x, weight, bias, self.stride, self.padding)
        return functional.leaky_relu(x, 0.2)


class End(nn.Module):
    """From 4 pixels to logits, with the variety of the batch as one more channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = Convolution(width + 1, width, size=3)
        self.fc = Dense(16 * width, width, weight_gain=math.sqrt(2), bias_gain=math.sqrt(2))
        self.out = Dense(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n,)`` of activations ``(n, width, 4, 4)``."""
        variety = batch_deviation(x)[:, None, None, None].expand(-1, 1, 4, 4)
        x = self.conv(torch.cat([x, variety], dim=1))
        x = functional.leaky_relu(self.fc(x.flatten(1)), 0.2)
        return self.out(x)[:, 0]  # type: ignore[no-any-return]


def batch_deviation(x: Tensor) -> Tensor:
    """How much every image of ``(n, c, h, w)`` differs from the others of its group, ``(n,)``.

    The standard deviation over the group (eps 1e-8), a mean over all features (Karras et al., arXiv
    1710.10196, section 3). Image i is in the group of i + n / ``GROUP``, which a batch of fewer
    images forms alone.
    """
    group = min(GROUP, len(x))
    grouped = x.unflatten(0, (group, -1))
    # torch's own variance over the first dimension takes a tenth of a training step on a CPU.
    variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)
    deviation: Tensor = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.repeat(group)
