"""Training a VAE or a Split-VAE on images: the settings, and the course that they start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from PIL import Image
from torch import Tensor

from latentmap.diagnostics import aggregate_posterior
from latentmap.encoders.normalising import AGGREGATE, normalise, require_vae, without_noise
from latentmap.encoders.training.on_images import Course
from latentmap.encoders.training.settings import autocast, check_numbers, check_precision
from latentmap.encoders.training.vae import Penalty, VAERecipe
from latentmap.encoders.vae import GaussianVAE
from latentmap.errors import ModelError
from latentmap.model import Model
from latentmap.progress import Progress
from latentmap.report import image_grid

_PREVIEWS = 10
_BATCH = 256


@dataclass(frozen=True)
class VAESettings:
    """What is trained, and how; the defaults are those published for the VAE.

    The Split-VAE was published with ``beta`` 3, on MNIST 8.
    ``config`` is the network's (see the family's adapter). ``steps`` takes the place of ``epochs``.
    ``gamma`` fixes the balance of the loss, which otherwise follows the error; ``beta`` weighs the
    KL divergence. ``penalty`` is what is asked of the posteriors: all of it, its ``quadratic`` part
    mean^2 / 2, or ``none``; without ``sampling`` the codes of the training are the means, and of
    the divergence the quadratic part alone has a meaning. ``normalise`` brings the codes of the
    trained model to the prior, see ``latentmap.encoders.normalising``.
    """

    family: str
    config: dict[str, Any]
    epochs: int
    steps: int | None = None
    batch_size: int = 100
    learning_rate: float = 1e-4
    beta: float = 1.0
    gamma: float | None = None
    sampling: bool = True
    penalty: Penalty = "full"
    precision: Literal["float32", "bfloat16"] = "float32"
    normalise: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(
            self,
            positive=("epochs", "batch_size", "learning_rate", "steps", "gamma"),
            not_negative=("beta", "seed"),
        )
        check_precision(self.precision)
        if self.penalty not in get_args(Penalty):
            kinds = ", ".join(get_args(Penalty))
            raise ModelError(f"the penalty is one of {kinds}, not {self.penalty!r}")
        if not self.sampling and self.penalty == "full":
            raise ModelError(
                "without sampling nothing holds the posterior variances, so that the full KL "
                "divergence means nothing: take the penalty quadratic or none"
            )

    def start(self, model: Model) -> Course:
        """The course of a VAE with fresh weights."""
        assert isinstance(model, GaussianVAE)
        recipe = VAERecipe(
            model.network.requires_grad_(True),
            learning_rate=self.learning_rate,
            beta=self.beta,
            gamma=self.gamma,
            sampling=self.sampling,
            penalty=self.penalty,
            autocast=autocast(self.precision),
        )
        return Course(
            recipe,
            model.network,
            lambda pixels: draw_vae(model, pixels),
            self._finish,
        )

    def _finish(
        self, model: Model, pixels: Tensor, progress: Progress | None
    ) -> tuple[Model, dict[str, Any]]:
        """The model as it is written, and the figures of its aggregate posterior."""
        if not self.sampling:
            model = without_noise(require_vae(model))
        if self.normalise:
            return normalise(model, lambda: _floats(pixels, progress))
        return model, {AGGREGATE: aggregate_posterior(model, _floats(pixels, progress)).to_json()}


def _floats(pixels: Tensor, progress: Progress | None) -> Iterator[Tensor]:
    """The images in [0, 1], a few at a time."""
    for start in range(0, len(pixels), _BATCH):
        yield pixels[start : start + _BATCH].float() / 255
        if progress is not None:
            progress(min(start + _BATCH, len(pixels)), len(pixels))


@torch.no_grad()
def draw_vae(model: GaussianVAE, pixels: Tensor) -> Image.Image:
    """Some images, what a VAE rebuilds of them, and what it makes of random codes."""
    images = pixels[:_PREVIEWS].to(model.device).float() / 255
    reconstruction = model.network.decode(model.network.encode(images)[0])
    samples = model.decode(model.sample(len(images), seed=0))
    rows = [("data", images), ("rebuilt", reconstruction), ("sampled", samples)]
    return image_grid([(label, row.cpu()) for label, row in rows])
