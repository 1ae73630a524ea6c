"""Exact models with grids of codes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentmap.model import Model


class Grid(Model):
    """Grey images as grids: the numbers of each block of pixels, mixed by a matrix of its seed."""

    family = "grid-test"
    any_size = True

    def __init__(self, *, block: int = 2, size: int = 8, seed: int = 0, name: str = "grid") -> None:
        mixed = torch.randn(block**2, block**2, generator=torch.Generator().manual_seed(seed))
        matrix = torch.linalg.qr(mixed)[0].contiguous()
        network = nn.Conv2d(1, block**2, block, block, bias=False)
        network.weight.data = matrix.reshape(-1, 1, block, block)
        super().__init__(
            network,
            name=name,
            config={"image_shape": [1, size, size], "seed": seed, "block": block},
            latent_dim=size**2,
            image_shape=(1, size, size),
            latent_shape=(block**2, size // block, size // block),
        )
        self._block, self._seed = block, seed

    def resized(self, height: int, width: int) -> Grid:
        assert height == width
        return Grid(block=self._block, size=height, seed=self._seed, name=self.name)

    def _encode(self, images: Tensor) -> Tensor:
        found: Tensor = self.network(images)
        return found

    def _decode(self, codes: Tensor) -> Tensor:
        weight = self.network.weight
        assert isinstance(weight, Tensor)
        return nn.functional.conv_transpose2d(codes, weight, stride=self._block).clamp(0, 1)
