"""What the synthesis networks of StyleGAN 1 and 2 share: how they go over a batch, and noise.

Shapes: ``n`` images, ws ``(n, num_ws, w_dim)``, noise maps ``(n, 1, r, r)``, images ``(n, c, r,
r)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan_codes import count_ws

NoiseMode = Literal["const", "none", "random"]


# Numbers in the activations of all images that a block takes together: 4 MB, a cache.
_TOGETHER = 2**20


@dataclass(frozen=True, eq=False)
class Growth:
    """Images on their way: the next block, the activations, the colours, the ws, and the noise
    maps, each for one or for all images.
    """

    block: int
    x: Tensor | None
    colors: Tensor | None
    ws: Tensor
    maps: list[Tensor | None]

    def rows(self, rows: slice) -> Growth:
        """Some of the images."""
        return Growth(
            self.block,
            None if self.x is None else self.x[rows],
            None if self.colors is None else self.colors[rows],
            self.ws[rows],
            [x if x is None or len(x) == 1 else x[rows] for x in self.maps],
        )


class SynthesisNetwork(nn.Module):
    """Images of ws, by blocks of twice the size each; a subclass gives the blocks.

    ``config`` gives ``image_shape``, ``channels``, the widths from 4 pixels to the full size, and
    ``final_tanh``, whether the images end in a tanh (absent, they do not).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.colors, self.resolution, _ = config["image_shape"]
        self.widths: list[int] = list(config["channels"])
        self.resolutions = [4 * 2**i for i in range(len(self.widths))]
        if self.resolutions[-1:] != [self.resolution]:
            raise ValueError(f"{len(self.widths)} widths are not those of {self.resolution} pixels")
        self.num_ws = count_ws(self.resolution)
        self.final_tanh = bool(config.get("final_tanh", False))

    def forward(
        self,
        ws: Tensor,
        *,
        noise: NoiseMode = "const",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Images float32 ``(n, c, r, r)`` of about [-1, 1], not clamped.

        ``noise``: the stored maps, none, or maps drawn from ``generator`` layer by layer, on the
        CPU, so that devices agree. ``dtype`` is that of the convolutions; styles and colours stay
        in float32.
        """
        maps = [self._noise(stored, len(ws), noise, generator) for stored in self._stored()]
        images = self._grow(Growth(0, None, None, ws, maps), dtype)
        return images.tanh() if self.final_tanh else images

    def _grow(self, growth: Growth, dtype: torch.dtype) -> Tensor:
        """The images of some ws, from a block on."""
        on_cpu, trained = growth.ws.device.type == "cpu", self._is_trained()
        while growth.block < len(self.resolutions):
            # On a CPU many images serve to read the weights of the first blocks once, whereas in
            # the last ones the activations of one image stay in the cache, those of many do not.
            size = self.widths[growth.block] * self.resolutions[growth.block] ** 2
            together = max(1, _TOGETHER // size)
            if on_cpu and len(growth.ws) > together and not trained:
                starts = range(0, len(growth.ws), together)
                parts = [growth.rows(slice(i, i + together)) for i in starts]
                return torch.cat([self._grow(part, dtype) for part in parts])
            growth = self._apply_block(growth, dtype)
        return self._finish(growth)

    def _is_trained(self) -> bool:
        # The gradient of the weights is best gathered at once.
        return torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())

    def _noise(
        self, stored: Tensor, n: int, mode: NoiseMode, generator: torch.Generator | None
    ) -> Tensor | None:
        if mode == "none":
            return None
        if mode == "const":
            return stored[None, None]
        return torch.randn(n, 1, *stored.shape, generator=generator).to(stored)

    def _stored(self) -> list[Tensor]:
        """The stored noise maps ``(r, r)``, layer by layer."""
        raise NotImplementedError

    def _apply_block(self, growth: Growth, dtype: torch.dtype) -> Growth:
        """One block further."""
        raise NotImplementedError

    def _finish(self, growth: Growth) -> Tensor:
        """The images, after the last block."""
        raise NotImplementedError
