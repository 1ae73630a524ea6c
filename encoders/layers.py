"""The family of layers: networks that are plain chains, as a list in their configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from latentmap.encoders.building import BuiltModel
from latentmap.encoders.nets.layered import LayeredNetwork
from latentmap.frames import Frame


class LayersModel(BuiltModel):
    """An encoder, a decoder, or both, of plain layers; a decoder alone is a generator.

    ``config``: ``image_shape``, ``latent_dim`` and, for grids, ``latent_shape``; ``range``, the
    values that the layers know of an image; and as lists of layers (see ``nets/layered.py``)
    ``encoder`` and ``decoder``, either of which may be missing.
    """

    family = "layers"
    network: LayeredNetwork

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
        self.is_generator = not self.can_encode

    def _network(self, config: Mapping[str, Any]) -> LayeredNetwork:
        return network_of(config)

    def _encode(self, images: Tensor) -> Tensor:
        return self.network.encode(images)

    def _decode(self, codes: Tensor) -> Tensor:
        return self.network.decode(codes)


def network_of(config: Mapping[str, Any]) -> LayeredNetwork:
    """The network that a configuration describes.

    Raises:
        ValueError: its layers do not fit.
    """
    return LayeredNetwork(
        tuple(config["image_shape"]),
        tuple(config.get("latent_shape", [config["latent_dim"]])),
        range=config["range"],
        encoder=config.get("encoder"),
        decoder=config.get("decoder"),
    )
