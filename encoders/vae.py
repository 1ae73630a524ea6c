"""The VAE family: dense or convolutional networks with a diagonal Gaussian posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from latentmap.encoders.building import BuiltModel
from latentmap.encoders.nets.conv_vae import ConvVAE
from latentmap.encoders.nets.dense_vae import DenseVAE
from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.model import Posterior


class GaussianVAE(BuiltModel):
    """What VAEs share: a network that gives posterior moments, and images from codes."""

    network: GaussianNetwork

    def _posterior(self, images: Tensor) -> Posterior:
        mean, log_variance = self.network.encode(images)
        return Posterior(mean, log_variance.exp())

    def _encode(self, images: Tensor) -> Tensor:
        return self.network.encode(images)[0]

    def _decode(self, codes: Tensor) -> Tensor:
        return self.network.decode(codes)


class VAEModel(GaussianVAE):
    """A VAE; ``config``: ``architecture`` (dense or conv), ``image_shape``, ``latent_dim``,
    ``widths``.
    """

    family = "vae"

    def _network(self, config: Mapping[str, Any]) -> GaussianNetwork:
        networks: dict[str, Callable[..., GaussianNetwork]] = {"conv": ConvVAE, "dense": DenseVAE}
        return networks[config["architecture"]](
            tuple(config["image_shape"]), config["latent_dim"], tuple(config["widths"])
        )
