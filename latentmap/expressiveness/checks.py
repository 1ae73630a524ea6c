"""What a benchmark is asked for, checked before any work: models, image sets, encoder and map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.codes import units_of
from latentmap.errors import ImageError, ModelError, SpaceError
from latentmap.expressiveness.coverage import FEWEST
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.expressiveness.reproducing import Runs
from latentmap.inversion.inverting import require_method
from latentmap.mapping import LinearMap
from latentmap.model import Model


def prior_of(model: Model) -> str:
    """What tells models of equal weights apart: the prior that was fitted, if one was."""
    return "" if model.prior is None else model.prior.fingerprint


def require_different(models: Sequence[Model]) -> None:
    """Refuses a model that is given twice.

    Raises:
        ModelError: one is.
    """
    known: dict[tuple[str, str, str], str] = {}
    for model in models:
        key = (model.fingerprint, model.space.kind, prior_of(model))
        if key in known:
            raise ModelError(f"{known[key]} and {model.name} are one model: give each once")
        known[key] = model.name


def require_names(image_sets: Sequence[ImageSet]) -> None:
    """Refuses an image set that is given twice.

    Raises:
        ImageError: one is.
    """
    names = [image_set.name for image_set in image_sets]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ImageError(f"the image set {twice} is given twice: give every set once")


def check_bench(models: Sequence[Model], image_sets: Sequence[ImageSet], runs: Runs) -> None:
    """Everything that can be wrong, before any work."""
    options, encoder = runs.options, runs.encoder
    if options.own < 2:
        raise ImageError(f"a generator must reproduce at least 2 own images, not {options.own}")
    require_names(image_sets)
    require_different(models)
    for model in models:
        if not model.can_decode:
            model.require_decoder()
        if options.methods is not None and "search" not in options.methods:
            for method in options.methods:
                require_method(model, method)
    for seeing in (*models, *([] if encoder is None else [encoder])):
        for image_set in image_sets:
            image_set.seen_by(seeing)
    if encoder is not None:
        _check_encoder(
            encoder,
            min([options.own, *(len(np.unique(units_of(one.digests))) for one in image_sets)]),
        )
    if runs.mapped is not None:
        _check_map(*runs.mapped, models)


def _check_encoder(encoder: Model, fewest: int) -> None:
    if fewest < FEWEST:
        raise ImageError(
            f"coverage takes at least {FEWEST} own images and images of every image_set, not "
            f"{fewest}: take more, or leave out the encoder"
        )
    if not encoder.can_encode:
        raise ModelError(
            f"{encoder.name} ({encoder.family}) has no encoder to group images with: give a VAE, "
            "or a generator with an inversion network"
        )


def _check_map(linear_map: LinearMap, source: Model, models: Sequence[Model]) -> None:
    if not linear_map.source.same_as(source.space):
        raise SpaceError(
            f"this map goes from {linear_map.source}: give that model with --src, not "
            f"{source.name} ({source.space})"
        )
    if not any(linear_map.target.same_as(model.space) for model in models):
        raise SpaceError(
            f"this map goes to {linear_map.target}, which is the space of none of "
            f"{', '.join(model.name for model in models)}: bench the model that it goes to"
        )
