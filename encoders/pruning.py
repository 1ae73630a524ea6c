"""A VAE without some of its variables: the same network, less their rows and columns.

The layers beside the code are linear. A variable that stands at a fixed value adds its column of
the decoder's first layer, times that value, to every image alike, which the layer's bias can do as
well. So the smaller model decodes as the whole one with these variables fixed, and what it encodes
are the codes of the whole one without them.

Shapes: ``d`` latent variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentmap.diagnostics import aggregate_posterior
from latentmap.diagnostics.dropping import DropOptions, Dropping, choose_dropped
from latentmap.encoders import find, load
from latentmap.encoders.halving import halved
from latentmap.encoders.native import is_half, read_header, save_model
from latentmap.encoders.normalising import AGGREGATE, BEFORE, reader_name, rebuilt, require_vae
from latentmap.encoders.vae import GaussianVAE
from latentmap.files import refuse_existing
from latentmap.images import ImageSource, OnError, floats_of
from latentmap.progress import Stage, silent, stage_of

# What a training record says that was measured on the model before.
_OF_THE_MODEL = ("held_out", BEFORE)
# What it says of the choice: the variables by their numbers in the whole model, and the mse.
_RECORDED = (
    "kept",
    *(f"mse_{name}{end}" for name in ("before", "after") for end in ("", "_low", "_high")),
)


def pruned(model: GaussianVAE, kept: Tensor, center: Tensor) -> GaussianVAE:
    """The same VAE with only the variables ``kept`` (bool ``(d,)``), in their order; its images are
    those of the whole one with the others at ``center`` ``(d,)``, to float32's rounding. It is
    another model, in another space.
    """
    reader = reader_name(model)
    weights = {name: tensor.cpu() for name, tensor in model.network.state_dict().items()}
    wide, bias = (weights[f"{reader}.{name}"].double() for name in ("weight", "bias"))
    weights[f"{reader}.weight"] = weights[f"{reader}.weight"][:, kept].clone()
    weights[f"{reader}.bias"] = (bias + wide[:, ~kept] @ center[~kept].double()).float()
    for layer in ("mean", "log_variance"):
        for name in (f"{layer}.weight", f"{layer}.bias"):
            weights[name] = weights[name][kept].clone()
    return rebuilt(model, {**model.config, "latent_dim": int(kept.sum())}, weights)


@dataclass(frozen=True, eq=False)
class Pruned:
    """A VAE and what is left of it without the variables that were dropped.

    ``dropped_prior`` is the prior (words) of the whole one, which has more variables and is left
    out too.
    """

    whole: GaussianVAE
    model: GaussianVAE
    dropping: Dropping
    dropped_prior: str | None

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``."""
        return {
            "fingerprint": self.model.fingerprint,
            "whole_fingerprint": self.whole.fingerprint,
            "dropped_prior": self.dropped_prior,
            **self.dropping.to_json(),
        }


def prune_file(
    reference: str | Path,
    images: ImageSource,
    out: str | Path,
    options: DropOptions | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    on_error: OnError = "stop",
    force: bool = False,
    stage: Stage = silent,
    progress: bool = False,
) -> Pruned:
    """Writes the VAE ``reference`` to ``out`` without the variables that ``options`` drop, which
    stand at their means over the images; what is in float16 stays so. A prior of its own is left
    out: it is one of all variables. ``progress=True`` shows how far it is.

    Raises:
        OutputError: ``out`` exists, and ``force`` is not set; or it cannot be written.
        ModelError: the model is no VAE; or as ``choose_dropped`` raises it.
        ImageError: an image cannot be read, and ``on_error`` is ``stop``.
    """
    stage = stage_of(progress, stage)
    out = Path(out)
    refuse_existing(out, force=force)
    path = find(reference)
    whole = require_vae(load(path, device=device), "variables to prune")
    dropping = choose_dropped(whole, images, options, seed=seed, on_error=on_error, stage=stage)
    other = pruned(whole, torch.from_numpy(dropping.kept), torch.from_numpy(dropping.center))
    half = is_half(path)
    if half:
        other = require_vae(halved(other))
    other.name = out.stem
    with stage("measuring codes") as told:
        batches = floats_of(images, other.view, {}, on_error=on_error, progress=told)
        aggregate = aggregate_posterior(other, batches)
    training = read_header(path).training
    said = dropping.to_json()
    record = {
        **{name: value for name, value in training.items() if name not in _OF_THE_MODEL},
        AGGREGATE: aggregate.to_json(),
        "pruned": {
            "model": whole.name,
            "fingerprint": whole.fingerprint,
            "latent_dim": whole.latent_dim,
            "data": images.fingerprint,
            **{name: said[name] for name in _RECORDED},
        },
    }
    save_model(other, out, training=record, half=half)
    prior = None if whole.prior is None else str(whole.prior)
    return Pruned(whole, other, dropping, prior)
