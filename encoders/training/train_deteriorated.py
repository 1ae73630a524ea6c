"""Deteriorating a variable of a trained VAE: what is asked for, what is chosen, the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.diagnostics import ACTIVE_VARIANCE, are_active, kl_divergence
from latentmap.encoders import find, load
from latentmap.encoders.native import read_header
from latentmap.encoders.normalising import prior_left_out, require_vae
from latentmap.encoders.training.batches import seeded
from latentmap.encoders.training.deteriorating import DeterioratingRecipe, Plan
from latentmap.encoders.training.on_images import Course, train_on_images
from latentmap.encoders.training.runs import Run
from latentmap.encoders.training.settings import check_numbers
from latentmap.encoders.training.tracing import Tracing, mean_gains
from latentmap.encoders.training.train_vae import draw_vae
from latentmap.encoders.vae import GaussianVAE
from latentmap.errors import ModelError
from latentmap.images import ImageSource, load_all
from latentmap.model import Model, count_seen

_SAMPLE = 512  # Images on which variables are told apart.
_DECODED = 8192  # Images that are decoded, at most, to tell gains: one a variable and image.
_STREAM = 5  # Of random numbers, beside those of the training.
_BATCH = 128
# The error of other images than a VAE was trained on is more than so many times that of its own.
_ALIKE = 4.0


@dataclass(frozen=True)
class Deterioration:
    """What is to be done with a variable of a trained VAE.

    ``variable`` is an active one, by default the middle one of these by gain. ``noise_step`` is how
    much noise is added after each epoch, in units of the codes, which have a variance of 1 where
    they were normalised. It grows for ``growing`` epochs at most, stays for ``after``
    epochs once the gain is below the cost, and is away for ``recovery`` epochs. ``gamma``,
    ``learning_rate`` and ``batch_size`` are by default those that the VAE was trained with.
    """

    variable: int | None = None
    noise_step: float = 0.2
    growing: int = 60
    after: int = 5
    recovery: int = 15
    gamma: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(
            self,
            positive=("noise_step", "growing", "gamma", "learning_rate", "batch_size"),
            not_negative=("after", "recovery", "seed"),
        )


@dataclass(frozen=True)
class DeteriorationSettings:
    """A deterioration as it is carried out: nothing is left to be chosen.

    ``base`` is the fingerprint of the VAE, ``inactive`` are its variables that are kept so; the
    rest is as in ``Deterioration``, ``VAESettings`` and ``Plan``.
    """

    family: str
    config: dict[str, Any]
    base: str
    variable: int
    inactive: tuple[int, ...]
    noise_step: float
    growing: int
    after: int
    recovery: int
    gamma: float
    beta: float
    learning_rate: float
    batch_size: int
    seed: int

    @property
    def plan(self) -> Plan:
        """The phases."""
        return Plan(self.noise_step, self.growing, self.after, self.recovery)

    @property
    def epochs(self) -> int:
        """Epochs at most."""
        return self.plan.epochs

    @property
    def steps(self) -> None:
        """Only epochs are counted."""
        return None

    def start(self, model: Model) -> Course:
        """The course of the VAE, which has its weights."""
        assert isinstance(model, GaussianVAE)
        recipe = DeterioratingRecipe(
            model.network.requires_grad_(True),
            self.plan,
            variable=self.variable,
            inactive=self.inactive,
            learning_rate=self.learning_rate,
            beta=self.beta,
            gamma=self.gamma,
        )
        return Course(
            recipe, model.network, lambda pixels: draw_vae(model, pixels), ended=recipe.ended
        )


def deteriorate(
    reference: str | Path,
    images: ImageSource,
    asked: Deterioration,
    run: Run,
    *,
    trace: str | Path,
    notify: Callable[[str], object] = lambda line: None,
    device: str | torch.device = "cpu",
) -> Model:
    """Adds noise to a variable of a trained VAE until it collapses, takes it away again, writes
    what happened to ``trace`` and the model that came out of it to ``run.out``, and gives the
    model.

    ``reference`` is a model file or the name of a bundled model, ``images`` are those that it was
    trained on. ``notify`` is called with a line that says which variable it is, and with one where
    the VAE knows none of the images, or has a prior of its own, which is left out. A run that was
    killed goes on with ``resume``, as in ``train_on_images``.

    Raises:
        OutputError: the output, or a run towards it, exists, and neither ``resume`` nor ``force``
            is set; or the trace cannot be written.
        ModelError: the model is no VAE, or has no such active variable; or was trained without the
            whole divergence, or on other images.
        ImageError: an image cannot be read.
    """
    model = require_vae(load(reference, device=device), "variables that can be deteriorated")
    record = read_header(find(reference)).training
    trained = _trained(model.name, record, asked)
    drawn = seeded(asked.seed, _STREAM, 0).permutation(len(images))[:_SAMPLE]
    sample = images.subset(np.sort(drawn))
    with run.stage("measuring") as progress:
        pixels, _, _ = load_all(sample, model.view, on_error=run.on_error, progress=progress)
    found = _look(model, pixels)
    _require_own(model.name, found, record, trained["gamma"])
    variable = _choose(model.name, found, asked.variable)
    notify(_in_words(model, found, variable, trained))
    if [*count_seen([model], sample.digests, sample.groups).values()] == [0]:
        notify(f"{model.name} knows none of these images: they are not those of its training")
    if model.prior is not None:
        notify(prior_left_out(run.out, model.name, str(model.prior)))
    settings = DeteriorationSettings(
        family=model.family,
        config=dict(model.config),
        base=model.fingerprint,
        variable=variable,
        inactive=tuple(np.flatnonzero(~found.active).tolist()),
        noise_step=asked.noise_step,
        growing=asked.growing,
        after=asked.after,
        recovery=asked.recovery,
        seed=asked.seed,
        **trained,
    )
    return train_on_images(
        images,
        settings,
        run,
        frame=model.frame,
        watch=Tracing(trace),
        weights=model.network.state_dict(),
        device=device,
    )


def _trained(name: str, record: Mapping[str, Any], asked: Deterioration) -> dict[str, Any]:
    """What the objective of a VAE was, by its record, where it is not asked for."""
    if record.get("penalty", "full") != "full":
        raise ModelError(
            f"{name} was trained with another penalty than the KL divergence, so no variable of it "
            "can fall below that: take one that was trained without --kl and --no-sampling"
        )
    figures = record.get("figures")
    known = {
        "gamma": figures.get("gamma") if isinstance(figures, Mapping) else None,
        "beta": record.get("beta", 1.0),
        "learning_rate": record.get("learning_rate", 1e-4),
        "batch_size": record.get("batch_size", 100),
    }
    given = {key: getattr(asked, key, None) for key in known}
    values: dict[str, Any] = {
        key: known[key] if given[key] is None else given[key] for key in known
    }
    for key, value in values.items():
        if type(value) not in (int, float) or not 0 < value < math.inf:
            advice = "take another model" if key == "beta" else f"give --{key.replace('_', '-')}"
            raise ModelError(
                f"the file of {name} does not say with which {key.replace('_', ' ')} above 0 it "
                f"was trained: {advice}"
            )
    return {**values, "batch_size": int(values["batch_size"])}


@dataclass(frozen=True, eq=False)
class _Variables:
    """What some images show of the variables: ``mean_variance``, ``gain`` (mse) and ``kl`` (d,);
    and the ``mse`` of their reconstructions.
    """

    mean_variance: np.ndarray
    gain: np.ndarray
    kl: np.ndarray
    mse: float

    @property
    def active(self) -> np.ndarray:
        return are_active(self.mean_variance)


@torch.no_grad()
def _look(model: GaussianVAE, pixels: Tensor) -> _Variables:
    """What images, uint8 ``(n, c, h, w)``, show of the variables."""
    network, wide = model.network, math.prod(model.image_shape)
    batches = [part.to(model.device).float() / 255 for part in pixels.split(_BATCH)]
    found = [network.encode(images) for images in batches]
    mean, log_variance = (torch.cat(part).double() for part in zip(*found, strict=True))
    squared = sum(
        float((network.decode(posterior[0]) - images).square().sum(dtype=torch.float64))
        for images, posterior in zip(batches, found, strict=True)
    )
    few = max(1, _DECODED // (model.latent_dim * _BATCH))  # Batches.
    return _Variables(
        mean.var(0, correction=0).cpu().numpy(),
        mean_gains(network, batches[:few], mean.mean(0)).cpu().numpy(),
        kl_divergence(mean, log_variance.exp(), log_variance).mean(0).cpu().numpy(),
        squared / (len(pixels) * wide),
    )


def _in_words(
    model: GaussianVAE, found: _Variables, variable: int, trained: Mapping[str, Any]
) -> str:
    """The variable that was chosen, with its gain and cost in the objective of the training."""
    wide = math.prod(model.image_shape)
    gain = float(found.gain[variable]) * wide / (2 * trained["gamma"] ** 2)
    return (
        f"variable {variable} of {model.name}: {gain:.1f} nats of gain, "
        f"{trained['beta'] * float(found.kl[variable]):.1f} of KL; "
        f"{int(found.active.sum())} of {model.latent_dim} variables are active"
    )


def _require_own(name: str, found: _Variables, record: Mapping[str, Any], gamma: float) -> None:
    """Refuses images on which the balance of error and divergence would be another: by gamma^2,
    and by the mse of the ``record``, which is larger where gamma was fixed.
    """
    figures = record.get("figures")
    known = figures.get("mse") if isinstance(figures, Mapping) else None
    mse = max(gamma**2, known) if isinstance(known, int | float) else gamma**2
    if found.mse > _ALIKE * mse:
        raise ModelError(
            f"{name} rebuilds these images with a mse of {found.mse:.4g}, but had one of about "
            f"{mse:.4g} when it was trained: give the images that it was trained on"
        )


def _choose(name: str, found: _Variables, asked: int | None) -> int:
    """The variable that is deteriorated: the one ``asked`` for, or the middle one by gain."""
    d = len(found.gain)
    active = np.flatnonzero(found.active)
    if not len(active):
        raise ModelError(f"no variable of {name} is active on these images: take another model")
    if asked is None:
        ordered = active[found.gain[active].argsort()]
        return int(ordered[len(ordered) // 2])
    if not 0 <= asked < d:
        raise ModelError(f"{name} has no variable {asked}: its variables are 0 to {d - 1}")
    if not found.active[asked]:
        raise ModelError(
            f"variable {asked} of {name} is inactive (its mean varies by "
            f"{float(found.mean_variance[asked]):.2g}, not by more than {ACTIVE_VARIANCE}): take "
            f"one of {', '.join(map(str, active.tolist()))}"
        )
    return asked
