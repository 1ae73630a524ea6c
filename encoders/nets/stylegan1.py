"""The generator of StyleGAN 1 (Karras et al., arXiv 1812.04948), for inference and for gradients.

Shapes: ``n`` images, ws ``(n, num_ws, w_dim)``, activations ``(n, c, h, w)`` in channels-last
memory, images ``(n, c, r, r)`` of about [-1, 1]. Of the progressively grown network, only what
makes the full size is here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan_layers import Derived, smooth
from latentmap.encoders.nets.stylegan_mapping import Dense, MappingNetwork
from latentmap.encoders.nets.stylegan_synthesis import Growth, SynthesisNetwork

_BLUR = (0.25, 0.5, 0.25)
_EPSILON = 1e-8


class StyleGAN1(nn.Module):
    """A mapping network and a synthesis network, as ``config`` describes them.

    ``config``: what ``MappingNetwork`` and ``SynthesisNetwork`` take, and
    ``instance_norm_epsilon``, which is 1e-8 where it is absent.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.mapping = MappingNetwork(config, bias_gain=1.0)
        self.synthesis = Synthesis(config)

    @property
    def num_ws(self) -> int:
        """The number of layers that take a w of their own."""
        return self.synthesis.num_ws


class Synthesis(SynthesisNetwork):
    """Images of ws: blocks ``b4``, ``b8``, ... and a 1x1 convolution to colours."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        epsilon = float(config.get("instance_norm_epsilon", _EPSILON))
        if not 0 < epsilon < 1:
            raise ValueError(f"instance_norm_epsilon is between 0 and 1, not {epsilon}")
        inputs = None
        for r, width in zip(self.resolutions, self.widths, strict=True):
            block = Block(inputs, width, r, w_dim=config["latent_dim"], epsilon=epsilon)
            self.add_module(f"b{r}", block)
            inputs = width
        self.torgb = ToRGB(self.widths[-1], self.colors)

    def blocks(self) -> list[Block]:
        """The blocks, from 4 pixels on."""
        return [self.get_submodule(f"b{r}") for r in self.resolutions]  # type: ignore[misc]

    def _stored(self) -> list[Tensor]:
        epilogues = [e for block in self.blocks() for e in (block.epi0, block.epi1)]
        return [epilogue.noise_const for epilogue in epilogues]

    def _apply_block(self, growth: Growth, dtype: torch.dtype) -> Growth:
        layers = slice(2 * growth.block, 2 * growth.block + 2)
        block = self.blocks()[growth.block]
        x = block(growth.x, growth.ws[:, layers], growth.maps[layers], dtype)
        return replace(growth, block=growth.block + 1, x=x)

    def _finish(self, growth: Growth) -> Tensor:
        images: Tensor = self.torgb(growth.x)
        return images.contiguous()


class Block(nn.Module):
    """The layers of one resolution: the constant or ``conv0``, ``epi0``, ``conv1``, ``epi1``."""

    def __init__(
        self, inputs: int | None, outputs: int, resolution: int, *, w_dim: int, epsilon: float
    ) -> None:
        super().__init__()
        self.conv0 = None
        if inputs is None:
            self.const = nn.Parameter(torch.ones(outputs, resolution, resolution))
        else:
            self.conv0 = UpConvolution(inputs, outputs, size=3, gain=math.sqrt(2))
        self.epi0 = Epilogue(outputs, resolution, w_dim=w_dim, epsilon=epsilon)
        self.conv1 = Convolution(outputs, outputs, size=3, gain=math.sqrt(2))
        self.epi1 = Epilogue(outputs, resolution, w_dim=w_dim, epsilon=epsilon)

    def forward(
        self, x: Tensor | None, ws: Tensor, maps: list[Tensor | None], dtype: torch.dtype
    ) -> Tensor:
        """Activations ``(n, outputs, r, r)`` of those of half the size."""
        if x is None or self.conv0 is None:
            x = self.const.to(dtype).expand(len(ws), -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            x = smooth(self.conv0(x), _BLUR)
        x = self.epi0(x, ws[:, 0], maps[0])
        return self.epi1(self.conv1(x), ws[:, 1], maps[1])  # type: ignore[no-any-return]


class Convolution(nn.Module):
    """A convolution with equalised learning rate; its bias is in the layer that follows."""

    def __init__(self, inputs: int, outputs: int, *, size: int, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.gain = gain / math.sqrt(inputs * size**2)
        self._scaled = Derived(self._scale)

    def forward(self, x: Tensor) -> Tensor:
        """Activations of the same size, in the precision of ``x``."""
        weight = self._scaled(self.weight, x.dtype)
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2)

    def _scale(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        return (weight * self.gain).to(dtype, memory_format=torch.channels_last)


class ToRGB(Convolution):
    """A 1x1 convolution to colours, with a bias."""

    def __init__(self, inputs: int, colors: int) -> None:
        super().__init__(inputs, colors, size=1, gain=1.0)
        self.bias = nn.Parameter(torch.zeros(colors))

    def forward(self, x: Tensor) -> Tensor:
        """Colours float32 ``(n, colors, h, w)``."""
        return super().forward(x) + self.bias[:, None, None]


class UpConvolution(Convolution):
    """Every pixel repeated to twice the size, and a 3x3 convolution, as one transposed one.

    Its 4x4 kernel is the sum of the four shifts of the flipped 3x3 kernel: less than half the
    products.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Activations of twice the size, in the precision of ``x``."""
        kernel = self._scaled(self.weight, x.dtype)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1)

    def _scale(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        flipped = weight.flip(2, 3).transpose(0, 1) * self.gain
        shifts = [functional.pad(flipped, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]
        kernel = torch.stack(shifts).sum(dim=0).to(dtype)
        return kernel.contiguous(memory_format=torch.channels_last)


class Epilogue(nn.Module):
    """Noise, bias, leaky ReLU, instance normalisation, and the style's scale and shift.

    ``epsilon`` is added to the variance that is divided by.
    """

    def __init__(self, channels: int, resolution: int, *, w_dim: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.noise_weight = nn.Parameter(torch.zeros(channels))
        self.noise_const: Tensor
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.affine = Dense(w_dim, 2 * channels)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """Activations in the shape and precision of ``x``."""
        shift = self.bias[:, None, None]
        if noise is not None:
            shift = shift + self.noise_weight[:, None, None] * noise
        x = functional.leaky_relu(x + shift.to(x.dtype), 0.2)
        scale, offset = self.affine(w).chunk(2, dim=1)
        variance, mean = torch.var_mean(x.to(scale.dtype), dim=(2, 3), correction=0)
        scale = (1 + scale) * (variance + self.epsilon).rsqrt()
        offset = offset - scale * mean
        return torch.addcmul(
            offset[:, :, None, None].to(x.dtype), x, scale[:, :, None, None].to(x.dtype)
        )
