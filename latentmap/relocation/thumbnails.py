"""Thumbnails as controls: what an image of as many numbers as the source's codes would do.

An efficiency alone says little, since the coarse look of an image is easy to tell. So a map has one
beside it, by the same method on the same pairs, that reads the shrunken image in place of the
source's codes.

Shapes: ``n`` images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Codes, Pairs, find_ids
from latentmap.errors import PairError
from latentmap.images import ImageSource, View
from latentmap.mapping import FitOptions, LinearMap
from latentmap.mapping.methods import find_method
from latentmap.mapping.patches import PatchSize, patches_between
from latentmap.model import Model
from latentmap.model.thumbnails import Thumbnail
from latentmap.progress import Progress
from latentmap.relocation.fitting import fit_training
from latentmap.relocation.pairing import TrainingPairs

_MOST = 3072  # Numbers of a thumbnail all of which are read at once: 32x32 pixels of colour.


@dataclass(frozen=True, eq=False)
class Control:
    """What stands beside a map: a ``thumbnail``, and the map that reads its codes."""

    thumbnail: Thumbnail
    linear_map: LinearMap


def thumbnail_between(
    source: Model, target: Model, *, patch: PatchSize | None = None
) -> Thumbnail | None:
    """The image that the source sees, shrunk to about as many numbers as its codes have; for a map
    from them to the target's. None where no image is seen, or a code has less numbers than a pixel.

    Of a map of flat codes it has as many numbers, 3,072 at most, or somewhat less. Of a map of
    patches (see ``patches_between``) it has the cells that the source has, and in each a square of
    pixels: of whole pixels of the image, and of about as many numbers as the source has there.

    Raises:
        MapError: the patch cannot be.
    """
    seeing = source if source.stored is None else target
    if seeing.stored is not None:
        return None
    view, patches = seeing.view, patches_between(source.space, target.space, patch)
    if patches is None:
        return _flat(view, source.latent_dim)
    height, width = patches.height, patches.width
    most = min(view.size[0] // height, view.size[1] // width)
    whole = [n for n in range(1, most + 1) if view.size[0] % (n * height) == 0]
    if not whole:
        return None
    wanted = patches.channels
    side = min(whole, key=lambda n: abs(np.log(view.channels * n * n / wanted)))
    return Thumbnail(view, (side * height, side * width), fold=(side, side))


def thumbnail_beside(model: Model) -> Thumbnail | None:
    """The image that a model sees, shrunk to as many numbers as its codes have, for maps of flat
    codes to any target; None as in ``thumbnail_between``.
    """
    return None if model.stored is not None else _flat(model.view, model.latent_dim)


def _flat(view: View, numbers: int) -> Thumbnail | None:
    parts = parts_of(view, min(numbers, _MOST))
    return None if parts is None else Thumbnail(view, parts)


def parts_of(view: View, most: int) -> tuple[int, int] | None:
    """The rows and columns of the largest thumbnail of ``most`` numbers or less that has the
    proportions of an image; None where a pixel has more.

    >>> from latentmap.frames import Frame
    >>> parts_of(View(Frame(), (64, 48), 3), 150)
    (8, 6)
    """
    (height, width), found = view.size, None
    for rows in range(1, height + 1):
        columns = max(1, round(rows * width / height))
        if view.channels * rows * columns > most:
            break
        found = (rows, columns)
    return found


def control_of(
    training: TrainingPairs,
    thumbnail: Thumbnail,
    coder: CoderLike,
    *,
    options: FitOptions | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Control:
    """The map that reads a ``thumbnail``, fitted on the images of the training pairs as the other
    one was; but that a penalty which was given is of the scale of other codes, and is chosen here.

    Raises:
        MapError, ModelError: the method has no map from thumbnails.
        ImageError, CacheError, PairError: as ``thumbnails_of`` raises them.
    """
    options = options or FitOptions()
    patches = patches_between(training.source.space, training.target.space, options.patch)
    own = {*find_method(options.method).free} & {"penalty"}
    options = replace(
        options,
        patch="full" if patches is None else patches.size,
        settings={name: value for name, value in options.settings.items() if name not in own},
    )
    pairs = training.pairs
    codes = thumbnails_of(thumbnail, pairs, training.images, training.coder_of(coder))
    reading = replace(training, source=thumbnail, pairs=replace(pairs, source=codes))
    return Control(thumbnail, fit_training(reading, options=options, seed=seed, progress=progress))


def thumbnails_of(
    thumbnail: Thumbnail, pairs: Pairs, images: ImageSource, coder: CoderLike
) -> Codes:
    """The thumbnails of the images of some pairs, row by row.

    Raises:
        PairError: an image cannot be read any more.
        ImageError, CacheError: as encoding raises them.
    """
    (codes,) = Coder.of(coder).codes([thumbnail], images)
    rows = find_ids(codes.ids, pairs.ids)
    if (rows < 0).any():
        missing = pairs.ids[rows < 0]
        raise PairError(
            f"{len(missing)} of {len(pairs)} images have codes, but cannot be read for a thumbnail "
            f"({missing[0]} is the first): leave thumbnails out"
        )
    return codes.take(rows)
