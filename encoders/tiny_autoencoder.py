"""The TAESD family: tiny autoencoders, whose codes are grids, for images of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders.building import BuiltModel
from latentmap.encoders.nets.tiny_autoencoder import TinyAutoencoder, factor_of
from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.model import Model

# Pixels that go through the network at a time: of each it holds some hundred numbers, several
# times, where the grid is finest.
_PIXELS = {"cpu": 2**18}
_MORE_PIXELS = 2**23  # On a device with memory of its own.


class TinyAutoencoderModel(BuiltModel):
    """A tiny autoencoder, or one half of it; ``config``: ``image_shape``, ``latent_dim``,
    ``latent_shape``, and as lists of steps ``encoder`` and ``decoder``, either of which may be
    missing.

    Of images ``(n, 3, h, w)`` the codes are grids of one position for ``factor`` pixels a side.
    """

    family = "tiny-autoencoder"
    any_size = True
    network: TinyAutoencoder

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        name: str | None = None,
        frame: Frame | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__(config, name=name, frame=frame, weights=weights)
        self.can_encode = self.network.encoder is not None
        self.can_decode = self.network.decoder is not None

    def _network(self, config: Mapping[str, Any]) -> TinyAutoencoder:
        (channels, *size), (_, *grid) = config["image_shape"], config["latent_shape"]
        halves = [config.get(name) for name in ("encoder", "decoder")]
        factors = {factor_of(steps) for steps in halves if steps is not None}
        if channels != 3 or any(size != [factor * side for side in grid] for factor in factors):
            raise ValueError(
                f"codes of shape {config['latent_shape']} are not those of images of shape "
                f"{config['image_shape']}"
            )
        return TinyAutoencoder(config["latent_shape"][0], *halves)

    @property
    def factor(self) -> int:
        """Pixels a side for one position of the grid."""
        return int(self.image_shape[1]) // int(self.config["latent_shape"][1])

    def resized(self, height: int, width: int) -> Model:
        """The same network for images of another size, which shares the weights.

        Raises:
            ModelError: the size is no multiple of the factor.
        """
        factor = self.factor
        if height % factor or width % factor or min(height, width) < 1:
            raise ModelError(
                f"{self.name} takes heights and widths that are multiples of {factor}, not "
                f"{height}x{width}"
            )
        shape = [self.config["latent_shape"][0], height // factor, width // factor]
        config = {
            **self.config,
            "image_shape": [3, height, width],
            "latent_dim": shape[0] * shape[1] * shape[2],
            "latent_shape": shape,
        }
        model = TinyAutoencoderModel(
            config, name=self.name, frame=self.own_frame, weights=self.network.state_dict()
        )
        return model.seen_through(self.frame)

    def _encode(self, images: Tensor) -> Tensor:
        return self._few_at_a_time(self.network.encode, images)

    def _decode(self, codes: Tensor) -> Tensor:
        return self._few_at_a_time(self.network.decode, codes)

    def _few_at_a_time(self, run: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        """``run`` on parts of the batch that bound the memory it takes, whatever the size of the
        images.
        """
        most = _PIXELS.get(self.device.type, _MORE_PIXELS)
        rows = max(1, most // (self.image_shape[1] * self.image_shape[2]))
        if len(batch) <= rows:
            return run(batch)
        return torch.cat([run(part) for part in batch.split(rows)])
