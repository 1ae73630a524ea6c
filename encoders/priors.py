"""Fitting a prior to the codes of images, and the model file that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from latentmap.encoders import find, load
from latentmap.encoders.native import is_half, read_header, save_model
from latentmap.encoders.normalising import require_vae
from latentmap.encoders.training.second_stage import (
    SecondStage,
    draw_from,
    train_second_stage,
)
from latentmap.encoders.two_stage import Renormalisation
from latentmap.encoders.vae import GaussianVAE
from latentmap.errors import ModelError
from latentmap.files import refuse_existing
from latentmap.images import ImageSource, OnError, floats_of
from latentmap.model import Mixture, Model, Posterior, Prior, fit_mixture
from latentmap.progress import Progress, ProgressLike, Stage, silent, stage_of

# Codes that a mixture is fitted to.
_CODES = 50_000

PriorKind = Literal["mixture", "normal", "two-stage"]


@dataclass(frozen=True)
class PriorSettings:
    """What is fitted: a ``mixture`` of so many ``components``, a ``normal`` distribution, or a
    ``two-stage`` VAE, whose codes are renormalised as ``renormalise`` says.
    """

    kind: PriorKind
    components: int = 1
    renormalise: Renormalisation = "law"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class FittedPrior:
    """A model that got a prior, what this ``replaced`` (words), the number of images, and those
    that were ``skipped``.
    """

    model: Model
    prior: Prior
    replaced: str | None
    n: int
    skipped: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All that is known of it, ready for ``json.dumps``."""
        return {
            "fingerprint": self.model.fingerprint,
            "prior": str(self.prior),
            "kind": self.prior.kind,
            "prior_fingerprint": self.prior.fingerprint,
            "config": self.prior.config,
            "record": dict(self.prior.record),
            "replaced": self.replaced,
            "n": self.n,
            "skipped": list(self.skipped),
        }


def fit_prior_file(
    reference: str | Path,
    images: ImageSource,
    out: str | Path,
    settings: PriorSettings,
    *,
    device: str | torch.device = "cpu",
    on_error: OnError = "stop",
    force: bool = False,
    record: Mapping[str, Any] | None = None,
    stage: Stage = silent,
    progress: bool = False,
) -> FittedPrior:
    """Writes the VAE ``reference`` to ``out`` with a prior that is fitted to the codes of the
    images, which should be those that it was trained on. Its weights, its space and its fingerprint
    stay, so that what was made with it goes on to serve it. ``record`` (JSON) goes into the file.
    ``progress=True`` shows how far it is.

    Raises:
        OutputError: ``out`` exists, and ``force`` is not set; or it cannot be written.
        ModelError: the model is no VAE, or there are too few images.
        ImageError: an image cannot be read, and ``on_error`` is ``stop``.
    """
    stage = stage_of(progress, stage)
    out = Path(out)
    refuse_existing(out, force=force)
    path = find(reference)
    model = require_vae(load(path, device=device))
    replaced = None if model.prior is None else str(model.prior)
    with stage("measuring codes") as told:
        posterior, skipped = _posteriors(model, images, on_error, told)
    unit = "codes seen" if settings.kind == "two-stage" else "rounds"
    with stage(f"fitting {settings.kind}", unit) as told:
        prior = fit_prior(posterior, settings, progress=told)
    made_of = {"data": images.fingerprint, "images": len(posterior.mean), "seed": settings.seed}
    prior.record = {**prior.record, **made_of, **(record or {})}
    model.prior, model.name = prior, out.stem
    save_model(model, out, training=read_header(path).training, half=is_half(path))
    return FittedPrior(model, prior, replaced, len(posterior.mean), skipped)


def fit_prior(
    posterior: Posterior, settings: PriorSettings, *, progress: ProgressLike = None
) -> Prior:
    """A prior fitted to the aggregate posterior of images, of which ``posterior`` has the moments,
    each ``(n, d)`` on the CPU.

    The mixture has a full covariance a component, and is fitted to 50,000 codes that are drawn from
    the posteriors of random images. The normal distribution has the mean and the covariance Cov(mu)
    + diag(mean s2).

    Raises:
        ModelError: there are too few images.
    """
    n = len(posterior.mean)
    if n < 2:
        raise ModelError(f"a prior is fitted to the codes of at least 2 images, not {n}")
    if settings.kind == "two-stage":
        second = SecondStage(seed=settings.seed)
        if n < second.batch_size:
            raise ModelError(
                f"a second VAE is trained on the codes of at least {second.batch_size} images, not "
                f"{n}: give more images, or fit another prior"
            )
        return train_second_stage(
            posterior, second, renormalise=settings.renormalise, progress=progress
        )
    if settings.kind == "normal":
        mean = posterior.mean.double()
        covariance = mean.T.cov(correction=0).reshape(2 * [mean.shape[1]])
        covariance = covariance + posterior.variance.double().mean(0).diag()
        return Mixture.normal(mean.mean(0), covariance)
    if settings.components > n // 2:
        raise ModelError(
            f"a mixture of {settings.components} takes at least 2 images a component, not "
            f"{n}: take fewer components, or more images"
        )
    generator = torch.Generator().manual_seed(settings.seed)
    codes = draw_from(posterior, _CODES, generator)
    return fit_mixture(codes, settings.components, seed=settings.seed, progress=progress)


def _posteriors(
    model: GaussianVAE, images: ImageSource, on_error: OnError, progress: Progress | None
) -> tuple[Posterior, tuple[str, ...]]:
    """The moments of the codes of all images, on the CPU, and the images that were skipped."""
    means: list[Tensor] = []
    variances: list[Tensor] = []
    skipped: dict[str, None] = {}
    for seen in floats_of(images, model.view, skipped, on_error=on_error, progress=progress):
        posterior = model.posterior(seen)
        means.append(posterior.mean.cpu())
        variances.append(posterior.variance.cpu())
    if not means:
        raise ModelError("a prior is fitted to the codes of images, but none can be read")
    return Posterior(torch.cat(means), torch.cat(variances)), tuple(skipped)
