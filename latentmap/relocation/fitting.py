"""The map that some training pairs give.

Shapes: ``n`` images, ``d`` latent variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from latentmap.codes import find_ids
from latentmap.images import ImageSource
from latentmap.mapping import FitOptions, LinearMap, fit
from latentmap.mapping.methods import find_method
from latentmap.mapping.shared_fits import SharedFits
from latentmap.model import Model
from latentmap.progress import Progress
from latentmap.relocation.image_selection import chooses_by_images, penalty_by_images
from latentmap.relocation.pairing import TrainingPairs
from latentmap.transfers import device_of_sums

_BATCH = 64  # Images at a time.
_NOISE = 2048  # Images whose posterior variances stand for all.


def fit_training(
    training: TrainingPairs,
    *,
    options: FitOptions | None = None,
    seed: int = 0,
    references: tuple[str, str] = ("", ""),
    shared: SharedFits | None = None,
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> LinearMap:
    """The map that some training pairs give; by default ridge.

    A method that needs the noise of the source codes has it from the posterior of the source, over
    at most 2,048 of the images of the pairs. ``select="image"`` chooses a penalty by decoded
    images, see ``penalty_by_images``. ``references`` are how the models are called; these and
    ``record`` go into the map as they are. For ``shared`` see ``fit``.

    Raises:
        MapError: as ``fit`` raises it.
        ModelError: the method needs a posterior, and the source has none; or images are to choose,
            and the target has no decoder.
    """
    options = options or FitOptions()
    settings = dict(options.settings)
    if "noise" in find_method(options.method).needs and "noise" not in settings:
        images = training.images
        mine = images.subset(np.flatnonzero(find_ids(training.pairs.ids, images.ids) >= 0))
        few = mine.subset(np.arange(min(len(mine), _NOISE)))
        settings["noise"] = posterior_noise(training.source, few)
    chosen: list[dict[str, Any]] = []
    if chooses_by_images(options):
        by_images = penalty_by_images(training, options, seed=seed, progress=progress)
        chosen, settings = [by_images.to_json()], {**settings, **by_images.chosen}
        options = replace(options, select=None)
    linear_map = fit(
        training.pairs,
        options,
        settings=settings,
        groups=training.groups,
        seed=seed,
        shared=shared,
        record={**training.record, **(record or {})},
        device=device_of_sums(training.target.device),
        progress=progress,
    )
    made = {**linear_map.record, "selection": [*chosen, *linear_map.record["selection"]]}
    source, target = references
    return replace(linear_map, source_reference=source, target_reference=target, record=made)


def posterior_noise(model: Model, images: ImageSource) -> torch.Tensor:
    """The mean variance ``(d,)``, float64, of a model's posterior over some images.

    Raises:
        ModelError: it has no posterior.
    """
    model.require_posterior()
    total = torch.zeros(model.latent_dim, dtype=torch.float64)
    seen = 0
    for batch in images.batches([model.view], batch_size=_BATCH, on_error="skip"):
        variance = model.posterior(batch.floats(0)).variance
        total += variance.double().sum(0).cpu()
        seen += len(variance)
    return total / max(seen, 1)
