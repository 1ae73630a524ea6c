"""The generator of StyleGAN 3, T and R (Karras et al., arXiv 2106.12423), for inference and for
gradients in its codes.

Signals are band-limited: every layer's activation works at twice the rate, between low-pass
filters. T has 3x3 convolutions and filters that are separable; R, which turns with its input, 1x1
convolutions, and filters down that are alike in all directions.

Shapes: ``n`` images, ws ``(n, num_ws, w_dim)``, activations ``(n, c, h, w)`` in channels-last
memory, images ``(n, c, r, r)`` of about [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan3_geometry import Signal, resampling, signals
from latentmap.encoders.nets.stylegan3_layers import Colors, FilteredConv, FourierInput, design
from latentmap.encoders.nets.stylegan_mapping import MappingNetwork

# Numbers in the largest activations of images that are made together on a CPU.
_TOGETHER = 2**20


class StyleGAN3(nn.Module):
    """A mapping network and a synthesis network, as ``config`` describes them.

    ``config``: what ``MappingNetwork`` and ``signals`` take, ``kernel`` (the pixels a side of the
    convolutions, 3 or 1), ``radial`` (whether filters down are alike in all directions),
    ``conv_clamp`` (the bound of the activations, or None), and ``output_scale``, which multiplies
    the image.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.mapping = MappingNetwork(config, bias_gain=math.sqrt(2))
        self.synthesis = Synthesis(config)

    @property
    def num_ws(self) -> int:
        """The number of layers that take a w of their own, the Fourier features first."""
        return self.synthesis.num_ws

    @staticmethod
    def designed(config: Mapping[str, Any]) -> dict[str, Tensor]:
        """The filters that follow from ``config``, by their names."""
        steps, made = signals(config), dict[str, Tensor]()
        for i, (source, target) in enumerate(zip([steps[0], *steps], steps[:-1], strict=False)):
            plan = resampling(source, target, config["kernel"])
            up, down = design(source, target, plan, radial=bool(config["radial"]))
            name = f"synthesis.{_name(i, target)}"
            made |= {f"{name}.up_filter": up, f"{name}.down_filter": down}
        return made


class Synthesis(nn.Module):
    """Images of ws: Fourier features ``input``, and layers ``L{i}_{size}_{channels}``, the last of
    which gives the colours.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        kernel, clamp, w_dim = config["kernel"], config["conv_clamp"], config["latent_dim"]
        if kernel not in (1, 3):
            raise ValueError(f"kernel is 1 or 3, not {kernel}")
        self.output_scale = float(config["output_scale"])
        steps = signals(config)
        self.input = FourierInput(steps[0], w_dim)
        self.names: list[str] = []
        for i, (source, target) in enumerate(zip([steps[0], *steps], steps, strict=False)):
            name = _name(i, target)
            layer: nn.Module
            if i == len(steps) - 1:
                layer = Colors(source.channels, target.channels, w_dim, clamp)
            else:
                layer = FilteredConv(
                    source,
                    target,
                    w_dim,
                    kernel=kernel,
                    radial=bool(config["radial"]),
                    clamp=clamp,
                )
            self.add_module(name, layer)
            self.names.append(name)
        self.num_ws = 1 + len(steps)
        self._largest = max(step.channels * step.size**2 for step in steps)

    def layers(self) -> list[nn.Module]:
        """The layers after the Fourier features, in order."""
        return [self.get_submodule(name) for name in self.names]

    def forward(self, ws: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Images float32 ``(n, c, r, r)`` of about [-1, 1], not clamped.

        ``dtype`` is that of the convolutions; input, styles, filters and colours stay in float32.
        """
        trained = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        if ws.device.type == "cpu" and not trained:
            # The activations of a few images stay near the processor, those of many do not.
            parts = ws.split(max(1, _TOGETHER // self._largest))
            return torch.cat([self._make(part, dtype) for part in parts])
        return self._make(ws, dtype)

    def _make(self, ws: Tensor, dtype: torch.dtype) -> Tensor:
        first, *others = ws.unbind(1)
        x: Tensor = self.input(first).to(dtype)
        for layer, w in zip(self.layers(), others, strict=True):
            x = layer(x, w)
        return (x * self.output_scale).contiguous()


def _name(i: int, signal: Signal) -> str:
    return f"L{i}_{signal.size}_{signal.channels}"
