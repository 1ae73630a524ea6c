"""What is left of a VAE when the gates of its training are set: the variables behind open ones.

Shapes: ``d`` latent variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders.pruning import pruned
from latentmap.encoders.training.gated import GatedNetwork
from latentmap.encoders.vae import GaussianVAE
from latentmap.model import Model

# What stands in a training record: how many variables there were, which stayed, and the error.
GATES = "gates"


def without_closed(model: GaussianVAE, gated: GatedNetwork) -> GaussianVAE:
    """The model without the variables behind closed gates, which multiply them by 0."""
    kept = gated.open.cpu()
    return pruned(model, kept, torch.zeros(len(kept), dtype=torch.float64))


def gates_record(
    model: Model, gated: GatedNetwork, tau: float, batches: Iterable[Tensor]
) -> dict[str, Any]:
    """What a training record says of the gates, measured on images ``(k, c, h, w)`` in [0, 1].

    ``error`` is the sum of squared errors over the pixels of an image when it is reconstructed from
    the mean of its posterior, a mean over the images; ``reached`` whether that is at most ``tau``.
    """
    total, n = 0.0, 0
    kept = gated.open.cpu()
    for images in batches:
        decoded = model.decode(model.encode(images).cpu() * kept).cpu()
        total += float((decoded - images).square().sum(dtype=torch.float64))
        n += len(images)
    error, pixels = total / n, math.prod(model.image_shape)
    return {
        "tau": tau,
        "tau_mse": tau / pixels,
        "error": error,
        "mse": error / pixels,
        "reached": error <= tau,
        "latent_dim": model.latent_dim,
        "open": torch.nonzero(kept).flatten().tolist(),
        "probabilities": [round(float(p), 4) for p in gated.gates.detach().cpu().sigmoid()],
    }
