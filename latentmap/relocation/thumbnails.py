"""Thumbnails as baselines: an image of as many numbers as the source's codes."""

from __future__ import annotations

import numpy as np

from latentmap.images import View
from latentmap.mapping.patches import PatchSize, patches_between
from latentmap.model import Model
from latentmap.model.thumbnails import Thumbnail

_MOST = 3072  # Numbers of a thumbnail all of which are read at once: 32x32 pixels of colour.


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
