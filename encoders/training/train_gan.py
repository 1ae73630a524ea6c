"""Training a GAN on images: the settings, and the course that they start.

The model is the generator with averaged weights; the discriminator stays in the run's checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from PIL import Image
from torch import Tensor

from latentmap.encoders.building import build_network
from latentmap.encoders.gan import GANModel
from latentmap.encoders.nets.dcgan import Discriminator
from latentmap.encoders.training.gan import GANRecipe
from latentmap.encoders.training.on_images import Course
from latentmap.encoders.training.settings import autocast, check_numbers, check_precision
from latentmap.errors import ModelError
from latentmap.model import Model
from latentmap.report import image_grid

_COLUMNS = 10
_ROWS = 4  # Of samples, in a preview.


@dataclass(frozen=True)
class GANSettings:
    """What is trained, and how; the defaults give digits in 20 minutes on one processor core.

    ``config`` is the generator's (see ``GANModel``); the discriminator has its image shape and
    norm. ``steps`` takes the place of ``epochs``. ``momentum`` is Adam's first beta.

    Published for the GAN (arXiv 2207.06812): ``base`` 16, ``widths`` and ``discriminator_widths``
    128, 256, 512, ``norm`` none, ``learning_rate`` 1e-4, the last weights. Here the widths are what
    a processor can train, and the norms are those of DCGAN: without them every generator tried on
    MNIST collapsed within 300 steps, and was still collapsed after 600.
    """

    family: ClassVar[str] = "gan"
    config: dict[str, Any]
    epochs: int = 10
    steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 2e-4
    momentum: float = 0.5
    discriminator_widths: tuple[int, ...] = (32, 64, 128)
    dropout: float = 0.2
    label_noise: float = 0.05
    average_decay: float = 0.999
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, positive=("epochs", "learning_rate", "steps"), not_negative=("seed",))
        check_precision(self.precision)
        for name in ("momentum", "dropout", "label_noise", "average_decay"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ModelError(
                    f"{name.replace('_', ' ')} must be at least 0 and below 1, not {value}"
                )
        if self.batch_size < 2:
            raise ModelError(
                f"a GAN takes at least 2 images a step, which it compares, not {self.batch_size}"
            )

    def start(self, model: Model) -> Course:
        """The course of a generator with fresh weights, against a fresh discriminator."""
        assert isinstance(model, GANModel)
        discriminator = build_network(
            "GAN discriminator",
            lambda: Discriminator(
                model.image_shape,
                widths=self.discriminator_widths,
                dropout=self.dropout,
                norm=self.config["norm"],
            ),
            None,
        )
        recipe = GANRecipe(
            model.network.requires_grad_(True),
            discriminator.to(model.device),
            latent_dim=model.latent_dim,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            label_noise=self.label_noise,
            average_decay=self.average_decay,
            autocast=autocast(self.precision),
        )
        # The same codes all along, so that the pictures show how their images change.
        codes = model.sample(_ROWS * _COLUMNS, seed=0)
        return Course(
            recipe, recipe.average, lambda pixels: _draw(recipe, pixels[:_COLUMNS], codes)
        )


@torch.no_grad()
def _draw(recipe: GANRecipe, pixels: Tensor, codes: Tensor) -> Image.Image:
    rows = [("data", pixels.float() / 255)]
    rows += [("sampled", part.cpu()) for part in recipe.average(codes).split(_COLUMNS)]
    return image_grid(rows).picture()
