"""The Split-VAE family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.encoders.nets.split_vae import PublishedSplitVAE, SplitVAE
from latentmap.encoders.vae import GaussianVAE


class SplitVAEModel(GaussianVAE):
    """A Split-VAE; ``config``: ``image_shape``, ``latent_dim``, ``width``, ``embedding``.

    Of the published weights: ``architecture`` (published), ``image_shape``, ``latent_dim``,
    ``embedding``, ``encoder_widths``, ``decoder_widths``.
    """

    family = "split-vae"

    def _network(self, config: Mapping[str, Any]) -> GaussianNetwork:
        shape = tuple(config["image_shape"])
        # Files from before there were two architectures name none.
        if "architecture" not in config:
            return SplitVAE(shape, config["latent_dim"], config["width"], config["embedding"])
        if config["architecture"] != "published":
            raise ValueError(f"architecture is published or left out, not {config['architecture']}")
        return PublishedSplitVAE(
            shape,
            config["latent_dim"],
            config["embedding"],
            encoder_widths=config["encoder_widths"],
            decoder_widths=config["decoder_widths"],
        )
