"""The models of baselines that stand beside a map: what they see, and how many numbers they have.

What they are for, ``latentmap.relocation.baselines`` says.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from torch import Tensor

from latentmap.encoders.reference_models import PCAModel
from latentmap.encoders.untrained import untrained
from latentmap.errors import ModelError
from latentmap.images import ImageSource, View
from latentmap.mapping import LinearMap
from latentmap.mapping.kept_baselines import KeptBaseline
from latentmap.mapping.patches import PatchSize, patches_between
from latentmap.model import Model
from latentmap.relocation.baselines import BASELINES, Baseline, BaselineKind, BaselineModels
from latentmap.relocation.thumbnails import thumbnail_beside, thumbnail_between

_MOST_COMPONENTS = 512  # Each is as large as an image.


@dataclass(frozen=True)
class FoundBaselines:
    """The ``models`` of the baselines that there are, by kind, and why there are no others."""

    models: BaselineModels
    missing: Mapping[BaselineKind, str]


def baselines_between(
    source: Model,
    target: Model,
    images: ImageSource,
    *,
    kinds: Collection[BaselineKind] = BASELINES,
    patch: PatchSize | None = None,
) -> FoundBaselines:
    """The baselines of a map from ``source`` to ``target``, which is fitted on some ``images``: a
    thumbnail of as many numbers as the source's codes, as many principal components of these images
    (512 at most), and the source's network before any training.

    Where the source is itself such a model, that one is left out; principal components are where
    maps are of patches of grids. Images that only the target sees are seen as it sees them.

    Raises:
        MapError: the patch cannot be.
        ImageError: the images cannot be read.
    """
    thumbnail = thumbnail_between(source, target, patch=patch)
    flat = patches_between(source.space, target.space, patch) is None
    seeing = source if source.stored is None else target
    return _found(source, seeing, thumbnail, images, kinds, flat=flat)


def baselines_beside(
    models: Sequence[Model], images: ImageSource, *, kinds: Collection[BaselineKind] = BASELINES
) -> list[FoundBaselines]:
    """The baselines of maps of flat codes from each model to any other; see ``baselines_between``.
    Principal components of what models see alike are fitted once.
    """
    known: dict[tuple[View, int], Model] = {}
    return [
        _found(one, one, thumbnail_beside(one), images, kinds, flat=True, known=known)
        for one in models
    ]


def keep_baselines(
    linear_map: LinearMap, baselines: Sequence[Baseline]
) -> tuple[LinearMap, list[str]]:
    """The map with its baselines, for its file, and the names of those that are too large for one:
    many principal components of large images.
    """
    kept, large = [], []
    for one in baselines:
        model, fitted = one.model, one.linear_map
        parts: dict[str, Tensor] = {}
        if isinstance(model, PCAModel):
            parts = {name: model.network.get_buffer(name).cpu() for name in ("mean", "components")}
        found = KeptBaseline(
            one.kind, model.space, fitted.weight, fitted.bias, fitted.patches, **parts
        )
        if found.is_small:
            kept.append(found)
        else:
            large.append(model.name)
    return replace(linear_map, baselines=tuple(kept)), large


def baselines_of(linear_map: LinearMap, source: Model, target: Model) -> list[Baseline]:
    """The baselines that a map has in its file, for these models; none that is not the same for
    them, as of images of another size.
    """
    patch: PatchSize = "full" if linear_map.patches is None else linear_map.patches.size
    seeing = source if source.stored is None else target
    found = []
    for one in linear_map.baselines:
        try:
            model = _again(one, source, target, seeing, patch)
        except ModelError:
            continue
        if model is None or not model.space.same_as(one.space):
            continue
        model.to(seeing.device)
        changed = replace(
            linear_map,
            weight=one.weight,
            bias=one.bias,
            patches=one.patches,
            source=one.space,
            source_frame=model.frame,
            moments=None,
            source_distances=None,
            baselines=(),
        )
        found.append(Baseline(cast(BaselineKind, one.kind), model, changed))
    return found


def _again(
    kept: KeptBaseline, source: Model, target: Model, seeing: Model, patch: PatchSize
) -> Model | None:
    if kept.kind == "pixels":
        return thumbnail_between(source, target, patch=patch)
    if kept.kind == "untrained":
        return untrained(source)
    if kept.kind != "pca" or kept.mean is None or kept.components is None:
        return None
    if seeing.stored is not None or kept.components.shape[1] != math.prod(seeing.image_shape):
        return None
    fitted = (kept.mean, kept.components)
    return PCAModel(seeing.view, kept.space.dim, name=f"pca:{kept.space.dim}", fitted=fitted)


def _found(
    source: Model,
    seeing: Model,
    thumbnail: Model | None,
    images: ImageSource,
    kinds: Collection[BaselineKind],
    *,
    flat: bool,
    known: dict[tuple[View, int], Model] | None = None,
) -> FoundBaselines:
    models: dict[BaselineKind, Model] = {}
    missing: dict[BaselineKind, str] = {}
    for kind in BASELINES:
        if kind not in kinds or _is_itself(source, kind):
            continue
        try:
            if kind == "pixels":
                models[kind] = _required(thumbnail, "no image is seen that could be shrunk")
            elif kind == "pca":
                models[kind] = _components(
                    source, seeing, images, flat=flat, known={} if known is None else known
                )
            else:
                models[kind] = untrained(source)
        except ModelError as error:
            missing[kind] = str(error)
    for model in models.values():
        model.to(seeing.device)
    return FoundBaselines(models, missing)


def _is_itself(source: Model, kind: BaselineKind) -> bool:
    """Whether the source is such a model; an untrained one has seen no image."""
    if kind == "untrained":
        return source.seen is not None and not len(source.seen)
    return source.family == kind


def _required(thumbnail: Model | None, reason: str) -> Model:
    if thumbnail is None:
        raise ModelError(reason)
    return thumbnail


def _components(
    source: Model,
    seeing: Model,
    images: ImageSource,
    *,
    flat: bool,
    known: dict[tuple[View, int], Model],
) -> Model:
    """As many principal components as codes have numbers, of the images that a map is fitted on."""
    if not flat or seeing.stored is not None:
        raise ModelError("principal components are of images, and read by maps of flat codes")
    view = seeing.view
    pixels = view.channels * int(np.prod(view.size))
    k = min(source.latent_dim, pixels, len(images), _MOST_COMPONENTS)
    if (view, k) not in known:
        known[view, k] = PCAModel(view, k, name=f"pca:{k}").completed(images)
    return known[view, k]
