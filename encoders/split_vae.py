"""The Split-VAE family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.encoders.nets.split_vae import SplitVAE
from latentmap.encoders.vae import GaussianVAE


class SplitVAEModel(GaussianVAE):
    """A Split-VAE; ``config``: ``image_shape``, ``latent_dim``, ``width``, ``embedding``."""

    family = "split-vae"

    def _network(self, config: Mapping[str, Any]) -> GaussianNetwork:
        shape = tuple(config["image_shape"])
        return SplitVAE(shape, config["latent_dim"], config["width"], config["embedding"])
