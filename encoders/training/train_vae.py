"""Training a VAE or a Split-VAE on images: the settings, and the course that they start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from PIL import Image
from torch import Tensor

from latentmap.diagnostics import aggregate_posterior
from latentmap.encoders.nets.gaussian import GaussianNetwork
from latentmap.encoders.normalising import AGGREGATE, normalise, require_vae, without_noise
from latentmap.encoders.training.gated import GatedNetwork, GatedRecipe
from latentmap.encoders.training.narrowing import GATES, gates_record, without_closed
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

    With ``tau``, the largest sum of squared errors over the pixels (and channels) of an image, or
    ``tau_mse``, the same per pixel, every variable has a gate, and gates close as far as it allows;
    the model that is written has the variables behind those that stay open. See
    ``latentmap.encoders.training.gated``.
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
    tau: float | None = None
    tau_mse: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(
            self,
            positive=("epochs", "batch_size", "learning_rate", "steps", "gamma", "tau", "tau_mse"),
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

        if self.tau is not None and self.tau_mse is not None:
            raise ModelError("tau is one limit, of an image or per pixel: give one of the two")
        if self.gamma is not None and self.gated:
            raise ModelError("gates have a balance of their own, by tau: leave gamma out")

    @property
    def gated(self) -> bool:
        """Whether every variable has a gate."""
        return self.tau is not None or self.tau_mse is not None

    def start(self, model: Model) -> Course:
        """The course of a VAE with fresh weights."""
        assert isinstance(model, GaussianVAE)
        network: GaussianNetwork = model.network.requires_grad_(True)
        how: dict[str, Any] = {
            "learning_rate": self.learning_rate,
            "beta": self.beta,
            "sampling": self.sampling,
            "penalty": self.penalty,
            "autocast": autocast(self.precision),
        }
        if not self.gated:
            recipe = VAERecipe(network, gamma=self.gamma, **how)
            return Course(recipe, network, lambda pixels: draw_vae(model, pixels), self._end)
        gated = GatedNetwork(network)
        tau = self._tau(model)

        def finish(
            trained: Model, pixels: Tensor, progress: Progress | None
        ) -> tuple[Model, dict[str, Any]]:
            said = gates_record(trained, gated, tau, _floats(pixels, progress))
            narrow = without_closed(require_vae(trained), gated)
            model, more = self._end(narrow, pixels, progress)
            return model, {**more, GATES: said}

        return Course(
            GatedRecipe(gated, tau=tau, **how),
            network,
            lambda pixels: draw_vae(model, pixels, gated),
            finish,
        )

    def _tau(self, model: Model) -> float:
        """The sum of squared errors over an image that may be."""
        if self.tau_mse is None:
            assert self.tau is not None, "there are gates"
            return self.tau
        return self.tau_mse * math.prod(model.image_shape)

    def _end(
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
def draw_vae(
    model: GaussianVAE, pixels: Tensor, network: GaussianNetwork | None = None
) -> Image.Image:
    """Some images, what a VAE rebuilds of them, and what it makes of random codes; by ``network``
    where that is another than the model's.
    """
    network = network or model.network
    images = pixels[:_PREVIEWS].to(model.device).float() / 255
    reconstruction = network.decode(network.encode(images)[0])
    samples = network.decode(model.sample(len(images), seed=0))
    rows = [("data", images), ("rebuilt", reconstruction), ("sampled", samples)]
    return image_grid([(label, row.cpu()) for label, row in rows]).picture()
