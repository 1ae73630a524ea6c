"""Small models whose codes have channels at positions, exact and without weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentmap.model import Model, Posterior


class Grid(Model):
    """Grey images as grids: each block of 2x2 pixels is a position with four channels, of which
    ``weight`` ``(4, 4)`` and ``bias`` ``(4,)`` make others.
    """

    family = "grid-test"
    any_size = True

    def __init__(
        self,
        height: int = 8,
        width: int = 8,
        *,
        name: str = "grid",
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> None:
        network = nn.Module()
        mixing = torch.eye(4) if weight is None else weight
        network.register_buffer("weight", mixing.float())
        network.register_buffer("bias", torch.zeros(4) if bias is None else bias.float())
        super().__init__(
            network,
            name=name,
            config={"image_shape": [1, height, width]},
            latent_dim=height * width,
            image_shape=(1, height, width),
            latent_shape=shape or (4, height // 2, width // 2),
        )

    def resized(self, height: int, width: int) -> Model:
        return Grid(height, width, name=self.name, weight=self._weight, bias=self._bias)

    @property
    def _weight(self) -> Tensor:
        return self.network.get_buffer("weight")

    @property
    def _bias(self) -> Tensor:
        return self.network.get_buffer("bias")

    def _encode(self, images: Tensor) -> Tensor:
        blocks = nn.functional.pixel_unshuffle(images, 2)
        mixed = torch.einsum("oc,nchw->nohw", self._weight, blocks)
        codes = mixed + self._bias[:, None, None]
        return codes if len(self.latent_shape) == 3 else codes.flatten(2).transpose(1, 2)

    def _decode(self, codes: Tensor) -> Tensor:
        inverse = torch.linalg.inv(self._weight)
        away = codes - self._bias[:, None, None]
        blocks = torch.einsum("oc,nchw->nohw", inverse, away)
        return nn.functional.pixel_shuffle(blocks, 2).clamp(0, 1)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, self.latent_dim, generator=generator)


class Blind(Grid):
    """The same without a way back."""

    can_decode = False
    _decode = Model._decode


class Noisy(Grid):
    """The same with a posterior: the variance of a channel is 0.01 times its number from 1."""

    _encode = Model._encode

    def _posterior(self, images: Tensor) -> Posterior:
        mean = Grid._encode(self, images)
        variance = 0.01 * torch.arange(1.0, 5.0)[:, None, None]
        return Posterior(mean, variance.expand_as(mean).clone())
