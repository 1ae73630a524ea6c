"""What the synthesis networks of StyleGAN 1 and 2 share: how they go over a batch, and noise.

Shapes: ``n`` images, ws ``(n, num_ws, w_dim)``, noise maps ``(n, 1, r, r)``, images ``(n, c, r,
r)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from latentmap.encoders.nets.stylegan_codes import count_ws

NoiseMode = Literal["const", "none", "random"]


class SynthesisNetwork(nn.Module):
    """Images of ws, by blocks of twice the size each; a subclass gives ``_run`` and ``_stored``.

    ``config`` gives ``image_shape`` and ``channels``, the widths from 4 pixels to the full size.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.colors, self.resolution, _ = config["image_shape"]
        self.widths: list[int] = list(config["channels"])
        self.resolutions = [4 * 2**i for i in range(len(self.widths))]
        if self.resolutions[-1:] != [self.resolution]:
            raise ValueError(f"{len(self.widths)} widths are not those of {self.resolution} pixels")
        self.num_ws = count_ws(self.resolution)

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
        # On a CPU the activations of one image stay in the cache, those of a batch do not; but the
        # gradient of the weights is best gathered at once.
        trained = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        step = 1 if ws.device.type == "cpu" and not trained else len(ws)
        images = []
        for i in range(0, len(ws), step):
            rows = slice(i, i + step)
            chosen = [x if x is None or len(x) == 1 else x[rows] for x in maps]
            images.append(self._run(ws[rows], chosen, dtype))
        return torch.cat(images)

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

    def _run(self, ws: Tensor, maps: list[Tensor | None], dtype: torch.dtype) -> Tensor:
        """The images of some ws, with the noise map of each layer."""
        raise NotImplementedError
