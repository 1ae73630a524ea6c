"""The generator of StyleGAN 2 (Karras et al., arXiv 1912.04958), for inference and for gradients.

Shapes: ``n`` images, ws ``(n, num_ws, w_dim)``, activations ``(n, c, h, w)`` in channels-last
memory, images ``(n, c, r, r)`` of about [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan_layers import upsample
from latentmap.encoders.nets.stylegan_mapping import MappingNetwork
from latentmap.encoders.nets.stylegan_modulation import Shortcut, StyledConv, ToRGB
from latentmap.encoders.nets.stylegan_synthesis import Growth, SynthesisNetwork


class StyleGAN2(nn.Module):
    """A mapping network and a synthesis network, as ``config`` describes them.

    ``config``: what ``MappingNetwork`` takes, ``image_shape``, ``channels`` (the widths from 4
    pixels to the full size), ``architecture`` ("skip", "orig" or "resnet"), and ``conv_clamp``
    (the bound of the activations, or None).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.mapping = MappingNetwork(config, bias_gain=math.sqrt(2))
        self.synthesis = Synthesis(config)

    @property
    def num_ws(self) -> int:
        """The number of layers that take a w of their own."""
        return self.synthesis.num_ws


class Synthesis(SynthesisNetwork):
    """Images of ws: blocks ``b4``, ``b8``, ... of modulated convolutions."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        architecture = config["architecture"]
        if architecture not in ("skip", "orig", "resnet"):
            raise ValueError(f"architecture is skip, orig or resnet, not {architecture}")
        inputs = None
        for r, width in zip(self.resolutions, self.widths, strict=True):
            block = Block(
                inputs,
                width,
                r,
                w_dim=config["latent_dim"],
                clamp=config["conv_clamp"],
                colors=self.colors if architecture == "skip" or r == self.resolution else None,
                residual=architecture == "resnet",
            )
            self.add_module(f"b{r}", block)
            inputs = width

    def blocks(self) -> list[Block]:
        """The blocks, from 4 pixels on."""
        return [self.get_submodule(f"b{r}") for r in self.resolutions]  # type: ignore[misc]

    def _stored(self) -> list[Tensor]:
        return [layer.noise_const for block in self.blocks() for layer in block.layers()]

    def _apply_block(self, growth: Growth, dtype: torch.dtype) -> Growth:
        block = self.blocks()[growth.block]
        # ToRGB and the convolution that follows it share their w.
        first = max(0, 2 * growth.block - 1)
        x = block(growth.x, growth.ws[:, first:], growth.maps[first:], dtype)
        colors = growth.colors
        if block.torgb is not None:
            colors = block.torgb(x, growth.ws[:, 2 * growth.block + 1])
            if growth.colors is not None:
                colors = upsample(growth.colors) + colors
        return replace(growth, block=growth.block + 1, x=x, colors=colors)

    def _finish(self, growth: Growth) -> Tensor:
        assert growth.colors is not None
        return growth.colors.contiguous()


class Block(nn.Module):
    """The layers of one resolution: the constant or ``conv0``, then ``conv1``.

    ``torgb`` turns their result into colours, where ``colors`` is given; ``skip`` is the shortcut
    of a residual block.
    """

    def __init__(
        self,
        inputs: int | None,
        outputs: int,
        resolution: int,
        *,
        w_dim: int,
        clamp: float | None,
        colors: int | None,
        residual: bool,
    ) -> None:
        super().__init__()
        end_gain, end_clamp = math.sqrt(2), clamp
        self.conv0 = self.skip = None
        if inputs is None:
            self.const = nn.Parameter(torch.randn(outputs, resolution, resolution))
        else:
            self.conv0 = StyledConv(
                inputs, outputs, w_dim, resolution, up=True, gain=math.sqrt(2), clamp=clamp
            )
            if residual:
                self.skip = Shortcut(inputs, outputs)
                # Half the variance comes from the shortcut: sqrt(1/2), on the bound as well.
                end_gain, end_clamp = 1.0, None if clamp is None else clamp * math.sqrt(0.5)
        self.conv1 = StyledConv(
            outputs, outputs, w_dim, resolution, up=False, gain=end_gain, clamp=end_clamp
        )
        self.torgb = None if colors is None else ToRGB(outputs, colors, w_dim, clamp)

    def layers(self) -> list[StyledConv]:
        """The convolutions that take noise, in order."""
        return [self.conv1] if self.conv0 is None else [self.conv0, self.conv1]

    def forward(
        self, x: Tensor | None, ws: Tensor, maps: list[Tensor | None], dtype: torch.dtype
    ) -> Tensor:
        """Activations ``(n, outputs, r, r)`` of those of half the size."""
        if x is None or self.conv0 is None:
            x = self.const.to(dtype).expand(len(ws), -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
            return self.conv1(x, ws[:, 0], maps[0])  # type: ignore[no-any-return]
        result: Tensor = self.conv1(self.conv0(x, ws[:, 0], maps[0]), ws[:, 1], maps[1])
        return result if self.skip is None else result + self.skip(x)
