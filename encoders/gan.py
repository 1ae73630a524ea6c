"""The GAN family: a convolutional generator whose codes are normal variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from latentmap.encoders.generator import GeneratorModel
from latentmap.encoders.nets.dcgan import Generator


class GANModel(GeneratorModel):
    """The generator of a GAN; ``config``: ``image_shape``, ``latent_dim``, ``base``, ``widths``,
    ``norm``.
    """

    family = "gan"
    network: Generator

    def _network(self, config: Mapping[str, Any]) -> Generator:
        return Generator(
            tuple(config["image_shape"]),
            config["latent_dim"],
            base=config["base"],
            widths=tuple(config["widths"]),
            norm=config["norm"],
        )

    def _decode(self, codes: Tensor) -> Tensor:
        images: Tensor = self.network(codes)
        return images
