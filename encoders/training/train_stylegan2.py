"""Training a StyleGAN 2 on images: the settings, and the course that they start.

The model is the moving average of the generator; the discriminator stays in the run's checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from PIL import Image

from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan2_discriminator import GROUP, Discriminator
from latentmap.encoders.stylegan import StyleGAN2Model
from latentmap.encoders.training.augmentation import AUGMENTATIONS
from latentmap.encoders.training.on_images import Course
from latentmap.encoders.training.settings import check_numbers, check_precision
from latentmap.encoders.training.stylegan2 import Balance, Networks, StyleGAN2Recipe
from latentmap.errors import ModelError
from latentmap.model import Model
from latentmap.report import mosaic

_PREVIEWS = 64


@dataclass(frozen=True)
class StyleGAN2Settings:
    """What is trained, and how; the defaults are for 32 and 64 pixels on a few processor cores.

    ``image_shape`` is ``(c, r, r)``. Layers have ``width`` channels at the full size, twice as many
    at every halving, up to ``max_width``; 4 pixels included. Published: 16384 / r and 512.
    ``latent_dim`` is the size of z and of w. ``steps`` takes the place of ``epochs``. ``r1`` is the
    weight of the gradient penalty, gamma, ``path_weight`` that of the path length penalty
    (published: 2), ``mixing`` the share of images that mix two codes (published: 0.9; small images
    become diverse sooner without), ``average`` the images after which a weight counts half in the
    average. ``augment`` is the probability of the
    ``augmentations`` (names of ``AUGMENTATIONS``), None adapts it.

    With a gamma of 0.0002 r^2 / batch size, the rule for long trainings (arXiv 2006.06676), or of
    1, digits of 32 pixels went from one shape to the next for 25,000 images; with 10, as published
    for R1 itself, they were of many shapes by then.
    """

    family: ClassVar[str] = "stylegan2"
    image_shape: tuple[int, int, int]
    epochs: int = 10
    steps: int | None = None
    batch_size: int = 16
    latent_dim: int = 64
    mapping_layers: int = 2
    width: int = 16
    max_width: int = 128
    learning_rate: float = 0.0025
    r1: float = 10.0
    path_weight: float = 0.0
    mixing: float = 0.0
    average: float = 10_000.0
    augment: float | None = None
    augmentations: tuple[str, ...] = ("translate", "scale", "color")
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        height, width = self.image_shape[1:]
        if height != width or height < 8 or height & (height - 1):
            raise ModelError(
                f"a StyleGAN makes square images of 8, 16, 32, 64, ... pixels, not {height}x{width}"
                f": give --size {_nearest(max(height, width))}"
            )
        sizes = ("batch_size", "latent_dim", "mapping_layers", "width", "max_width")
        check_numbers(
            self,
            positive=("epochs", "steps", *sizes, "learning_rate", "average"),
            not_negative=("r1", "path_weight", "seed"),
        )
        check_precision(self.precision)
        for name in ("mixing", "augment"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ModelError(f"{name} is a probability from 0 to 1, not {value}")
        if self.batch_size % GROUP:
            raise ModelError(
                f"the discriminator compares images in groups of {GROUP}: the batch size must be a "
                f"multiple of it, not {self.batch_size}"
            )
        if self.augment and not self.augmentations:
            raise ModelError(
                f"augment is {self.augment}, but there are no augmentations: name some, or leave "
                "it out"
            )
        for name in self.augmentations:
            if name not in AUGMENTATIONS:
                raise ModelError(
                    f"unknown augmentation {name!r}: choose of {', '.join(AUGMENTATIONS)}"
                )

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the generator (see ``latentmap.encoders.nets.stylegan2``)."""
        side = self.image_shape[1]
        sizes = [4 * 2**i for i in range(side.bit_length() - 2)]
        return {
            "image_shape": list(self.image_shape),
            "latent_dim": self.latent_dim,
            "z_dim": self.latent_dim,
            "c_dim": 0,
            "label": "none",
            "embed_dim": 0,
            "channels": [min(self.max_width, self.width * (side // size)) for size in sizes],
            "mapping_layers": self.mapping_layers,
            "mapping_multiplier": 0.01,
            "architecture": "skip",
            "conv_clamp": None,
        }

    def start(self, model: Model) -> Course:
        """The course of a fresh generator, which becomes the average of another one that is trained
        against a fresh discriminator.
        """
        assert isinstance(model, StyleGAN2Model)
        assert isinstance(model.network, StyleGAN2)
        discriminator = Discriminator(self.image_shape, self.config["channels"])
        networks = Networks(StyleGAN2(self.config), model.network, discriminator)
        balance = Balance(
            self.r1, self.path_weight, self.mixing, self.average, self.augment, self.augmentations
        )
        recipe = StyleGAN2Recipe(
            networks.to(model.device),
            balance,
            learning_rate=self.learning_rate,
            dtype=getattr(torch, self.precision),
        )

        def draw(_: torch.Tensor) -> Image.Image:
            samples = model.decode(model.sample(_PREVIEWS, seed=0))
            return mosaic(samples.cpu(), scale=1).picture()

        return Course(recipe, model.network, draw)


def _nearest(side: int) -> int:
    """The power of two, 8 or more, that is nearest to a side by ratio."""
    return max(8, 1 << round(math.log2(side)))
