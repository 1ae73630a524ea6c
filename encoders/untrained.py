"""Untrained networks of a model's architecture: what codes tell before anything was learnt.

    untrained:svae          an untrained Split-VAE of ``svae``'s widths; ``?seed=3`` draws others

Random features of an image tell much of it (Saxe et al., "On Random Weights and Unsupervised
Feature Learning", ICML 2011), so what is mapped from a trained encoder is held against these.
"""

from __future__ import annotations

import re

import numpy as np
from torch import Tensor

from latentmap.encoders import LATENT, build, load, require_family
from latentmap.encoders.inverted import InvertedModel
from latentmap.encoders.nets.inversion import InversionNetwork
from latentmap.encoders.references import Given, parse_reference
from latentmap.encoders.training.on_images import seeded_weights
from latentmap.errors import ModelError
from latentmap.model import Model
from latentmap.model.seen import SeenImages

SCHEME = "untrained"
_SEED = re.compile("[0-9]{1,18}", re.ASCII)


class UntrainedInversion(Model):
    """A fresh inversion network with the moments of the codes that the trained one has: an encoder
    alone, whose codes mean nothing to the generator, and are in a space of their own.
    """

    family = "untrained-inversion"
    can_decode = False
    network: InversionNetwork

    def __init__(self, trained: InvertedModel, *, name: str) -> None:
        config, shape = trained.config, trained.image_shape
        network = InversionNetwork(config["network"], shape, config["latent_dim"])
        network.mean.copy_(trained.inversion.mean)
        network.scale.copy_(trained.inversion.scale)
        super().__init__(
            network,
            name=name,
            config={
                "network": config["network"],
                "image_shape": list(shape),
                "latent_dim": trained.latent_dim,
            },
            latent_dim=trained.latent_dim,
            image_shape=shape,
            frame=trained.own_frame,
            space_kind=LATENT,
        )

    def _encode(self, images: Tensor) -> Tensor:
        codes: Tensor = self.network(images)
        # As the trained one does in w+, of a network that was trained in w.
        return codes.repeat(1, self.latent_dim // codes.shape[1])


def untrained(model: Model, *, seed: int = 0) -> Model:
    """A model of the same architecture, with weights drawn from ``seed`` as a training draws its
    first ones: codes of the same shape, of what ``model`` sees, in a space of their own. It has
    seen no image. Of a generator with an inversion network it is that network, fresh, alone.

    One seed gives the same weights on any device: they are drawn on the CPU. Norms of batches have
    mean 0 and variance 1, as before the first step.

    Raises:
        ModelError: ``model`` has no encoder, or no configuration that a network is made of.

    Example:
        >>> made = untrained(load("mnist-vae"))
        >>> made.name, made.latent_dim, made.image_shape
        ('untrained:mnist-vae', 16, (1, 32, 32))
    """
    if not model.can_encode:
        raise ModelError(
            f"{model.name} has no encoder that could be untrained: take a model that encodes"
        )
    name = f"{SCHEME}:{model.name}" + (f"?seed={seed}" if seed else "")
    with seeded_weights(seed):
        made = _fresh(model, name)
    made.seen = SeenImages.of(np.empty((0, 16), np.uint8))
    made.boxes = dict(model.boxes)
    return made.seen_through(model.frame).to(model.device)


def _fresh(model: Model, name: str) -> Model:
    if isinstance(model, InvertedModel):
        return UntrainedInversion(model, name=name)
    try:
        require_family(model.family)
    except ModelError:
        raise ModelError(
            f"{model.name} is of the family {model.family}, of which no network is made from a "
            "configuration: an untrained one can be had of a model file or a bundled model"
        ) from None
    return build(model.family, dict(model.config), name=name, frame=model.own_frame)


def load_untrained(given: Given) -> Model:
    """``untrained:svae``, or of the path of a model file or a short name of one.

    Raises:
        ModelError: it is none, or as ``untrained`` raises it. What has a scheme is not even loaded.
    """
    seed = given.take_options("seed").get("seed", "0")
    if not _SEED.fullmatch(seed):
        raise ModelError(f"{given.text}: the seed must be a whole number from 0 on, not {seed}")
    if not given.name:
        raise ModelError(
            f"{given.text} names no model: give one after the colon, as untrained:svae"
        )
    beside = given.folder / given.name
    reference = parse_reference(str(beside) if beside.is_file() else given.name)
    if reference.scheme is not None:
        raise ModelError(
            f"{given.text}: {reference.scheme}: has no configuration that an untrained network is "
            "made of: give the path of a model file, or the name of a bundled model"
        )
    return untrained(load(reference.text, size=given.size), seed=int(seed))
