"""Maps of patches for images of other sizes: what is found on faces previews a landscape.

A map of patches is the same for every cell, so that it does not depend on how many there are. The
size of images is part of a space, and a map knows no models: these say that a space of another size
is theirs.
"""

from __future__ import annotations

from dataclasses import replace

from latentmap.errors import MapError
from latentmap.mapping import LinearMap
from latentmap.mapping.patches import patches_between
from latentmap.model import Model
from latentmap.relocation.measuring import require_models


def resized_map(
    linear_map: LinearMap, source: Model, target: Model, size: tuple[int, int]
) -> tuple[LinearMap, Model, Model]:
    """The map of patches for images of a ``size`` (height, width), with its models for that size.

    ``source`` and ``target`` are those of the map. Weights, moments and the images of the fit stay
    what they are.

    Raises:
        SpaceError: the map does not belong to the models.
        ModelError: a model takes images of one size alone, or not of this one.
        MapError: the map is of flat codes, or its patch cannot be of grids of that size.
    """
    require_models(linear_map, source, target)
    patches = linear_map.patches
    if patches is None:
        raise MapError(
            "a map of flat codes is of images of one size: fit one of patches, or one for that size"
        )
    source, target = source.resized(*size), target.resized(*size)
    found = patches_between(source.space, target.space, patches.size)
    assert found is not None  # The size is a number.
    if (found.source_fold, found.target_fold) != (patches.source_fold, patches.target_fold):
        raise MapError(
            f"the cells of this map are of {patches.source_fold} positions of the source and "
            f"{patches.target_fold} of the target, and of images of {size[0]}x{size[1]} they would "
            f"be of {found.source_fold} and {found.target_fold}: fit one for that size"
        )
    moved = replace(linear_map, source=source.space, target=target.space, patches=found)
    return moved, source, target
