"""The models of baselines that stand beside a map: what they see, and how many numbers they have.

What they are for, ``latentmap.relocation.baselines`` says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.encoders.reference_models import PCAModel
from latentmap.encoders.untrained import untrained
from latentmap.errors import ModelError
from latentmap.images import ImageSource, View
from latentmap.mapping.patches import PatchSize, patches_between
from latentmap.model import Model
from latentmap.relocation.baselines import BASELINES, BaselineKind, BaselineModels
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
        if kind not in kinds or source.family == kind:
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
