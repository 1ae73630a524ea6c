"""Codes of a VAE brought to its prior: mean 0 and mean s2 + Var(mu) = 1 for every variable.

A training leaves them off: along the scale of a code it is not stationary, since the optimiser goes
on to buy a smaller error with larger codes. Moving every code by its mean m and dividing it by the
root of V = mean s2 + Var(mu) lowers the KL divergence by (m^2 + V - 1 - log V) / 2 a variable,
never below 0, and no other shift and scale lower it by more. The layers beside the code are linear,
so both can be put into them: the images of the decoder stay the same.

Shapes: ``d`` latent variables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentmap.diagnostics import Aggregate, aggregate_posterior
from latentmap.encoders import build
from latentmap.encoders.halving import halved
from latentmap.encoders.vae import GaussianVAE
from latentmap.errors import ModelError
from latentmap.model import Model

# What stands in a training record: the figures of the codes as they are, and as they were before.
AGGREGATE, BEFORE = "aggregate", "before_normalising"
# So many nats, the prior gives to what images have as codes e times too little, or less.
_FAR = 1.0
_POINT = 1e-12  # Of a code's unit variance.


def require_vae(model: Model, needed: str = "posteriors") -> GaussianVAE:
    """The model, which is a VAE or a Split-VAE, because something is ``needed`` of it.

    Raises:
        ModelError: it is none.
    """
    if not isinstance(model, GaussianVAE):
        raise ModelError(
            f"{model.name} is a model of the family {model.family}: only a VAE or a Split-VAE has "
            f"{needed}"
        )
    return model


def normalised(model: GaussianVAE, aggregate: Aggregate) -> GaussianVAE:
    """The same VAE with its codes moved and scaled so that ``aggregate`` has mean 0 and variance 1.

    Its images are the same to float32's rounding. It is another model, in another space. A variable
    whose variance is 0 is moved alone.
    """
    network = model.network
    reader = reader_name(model)
    mean = aggregate.mean
    variance = aggregate.variance
    scale = torch.where(variance > torch.finfo(torch.float32).tiny, variance, 1.0).sqrt()

    weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    wide = {
        name: weights[name].double()
        for layer in ("mean", "log_variance", reader)
        for name in (f"{layer}.weight", f"{layer}.bias")
    }
    changed = {
        "mean.weight": wide["mean.weight"] / scale[:, None],
        "mean.bias": (wide["mean.bias"] - mean) / scale,
        "log_variance.bias": wide["log_variance.bias"] - 2 * scale.log(),
        f"{reader}.weight": wide[f"{reader}.weight"] * scale,
        f"{reader}.bias": wide[f"{reader}.bias"] + wide[f"{reader}.weight"] @ mean,
    }
    return rebuilt(
        model, model.config, weights | {name: tensor.float() for name, tensor in changed.items()}
    )


def reader_name(model: GaussianVAE) -> str:
    """What the layer that codes enter the decoder by is called among the weights."""
    network = model.network
    name: str = next(name for name, one in network.named_modules() if one is network.reader)
    return name


def without_noise(model: GaussianVAE) -> GaussianVAE:
    """The same VAE with posteriors that are all but points (variance 1e-12): what it is when
    nothing was drawn from them while it was trained, and the layer that gives them means nothing.
    """
    weights = {name: tensor.cpu() for name, tensor in model.network.state_dict().items()}
    weights["log_variance.weight"] = torch.zeros_like(weights["log_variance.weight"])
    bias = weights["log_variance.bias"]
    weights["log_variance.bias"] = torch.full_like(bias, math.log(_POINT))
    return rebuilt(model, model.config, weights)


def rebuilt(
    model: GaussianVAE, config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> GaussianVAE:
    """A VAE of this configuration and these weights that is in all else as ``model``; but without a
    prior, since that of the model is of codes as they were.
    """
    other = build(model.family, dict(config), name=model.name, frame=model.frame, weights=weights)
    other.boxes, other.seen = dict(model.boxes), model.seen
    return require_vae(other.to(model.device))


def normalise(
    model: Model, batches: Callable[[], Iterable[Tensor]], *, half: bool = False
) -> tuple[Model, dict[str, Any]]:
    """The VAE with codes that are normalised over the images of ``batches``, and the figures of its
    aggregate posterior, for a training record: now and before.

    ``batches`` is called twice, and gives images ``(k, c, h, w)`` in [0, 1] each time. ``half``
    rounds the weights to float16.

    Raises:
        ModelError: the model is no VAE, or a weight is beyond float16's range.
        ImageError: there is no image, or one cannot be read.
    """
    vae = require_vae(model)
    before = aggregate_posterior(vae, batches())
    other: Model = normalised(vae, before)
    if half:
        other = halved(other)
    after = aggregate_posterior(other, batches())
    return other, {AGGREGATE: after.to_json(), BEFORE: before.to_json()}


def prior_left_out(out: str | Path, name: str, prior: str) -> str:
    """A line for somebody who gets ``out``, which has other codes, of a model that is called
    ``name`` and had a ``prior`` (words) of its own.
    """
    return (
        f"{out} is without the prior of {name}, {prior}, which was of the codes as they were: fit "
        "one again with `latentmap models prior`"
    )


def far_from_prior(name: str, training: Mapping[str, Any]) -> str | None:
    """A line for somebody who samples a VAE whose codes of images are far from its prior, by the
    figures in its training record; None where they are not, or the record has none.
    """
    said: Any = training.get(AGGREGATE)
    try:
        divergence, removable = float(said["divergence"]), float(said["removable"])
    except (KeyError, TypeError, ValueError):
        return None  # None, or what a stranger wrote into a file.
    if not divergence > _FAR:
        return None
    line = (
        f"the prior of {name} is at least {divergence:.1f} nats from the codes of its "
        "training images: images of random codes are worse than reconstructions"
    )
    if removable <= _FAR / 10:
        return line
    return f"{line}; `latentmap models normalise` takes {removable:.1f} of these away"
