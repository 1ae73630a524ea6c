"""The GAN family: a convolutional generator whose codes are normal variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from latentmap.encoders.building import build_network
from latentmap.encoders.generator import GeneratorModel
from latentmap.encoders.nets.dcgan import Generator
from latentmap.frames import Frame


class GANModel(GeneratorModel):
    """The generator of a GAN; ``config``: ``image_shape``, ``latent_dim``, ``base``, ``widths``,
    ``norm``.
    """

    family = "gan"
    network: Generator

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        name: str | None = None,
        frame: Frame | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        network = build_network(self.family, lambda: _network(config), weights)
        channels, height, width = config["image_shape"]
        super().__init__(
            network,
            name=name or self.family,
            config=config,
            latent_dim=int(config["latent_dim"]),
            image_shape=(channels, height, width),
            frame=frame,
        )

    def _decode(self, codes: Tensor) -> Tensor:
        images: Tensor = self.network(codes)
        return images


def _network(config: Mapping[str, Any]) -> Generator:
    return Generator(
        tuple(config["image_shape"]),
        config["latent_dim"],
        base=config["base"],
        widths=tuple(config["widths"]),
        norm=config["norm"],
    )
