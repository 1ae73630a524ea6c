"""Opening images by parts: what holds them is looked at, and of the images as little as can be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.arrays import ArrayImages
from latentmap.images.choice import Choice
from latentmap.images.index_file import Index
from latentmap.images.opening import name_of, open_place
from latentmap.images.packed import PackedImages
from latentmap.images.parts import (
    ArrayParts,
    Counts,
    FileParts,
    FirstParts,
    ImageParts,
    IndexParts,
)
from latentmap.images.sets import FilesOfImages
from latentmap.images.source import ImageSource
from latentmap.images.values import ValueRange
from latentmap.progress import ProgressLike, reporting


def open_parts(
    path: str | Path,
    *,
    limit: int | None = None,
    value_range: tuple[float, float] | None = None,
    known: Iterable[Counts] = (),
    progress: ProgressLike = None,
) -> ImageParts:
    """The images at a path, or the first of them, as ``open_images`` gives them, to be opened part
    by part.

    Of sets of files, tables, indexes and arrays no image is in memory before; of folders, archives
    and packs all names are. The images in each file of a set are counted, which is told to
    ``progress``, unless it is ``known`` how many there are in just these files.

    Raises:
        ImageError: there are no such images.

    Example:
        >>> parts = open_parts("digits")
        >>> len(parts), parts.part(10, 12).ids.tolist()
        (1797, ['10', '11'])
    """
    if limit is not None and limit < 1:
        raise ImageError(f"limit must be at least 1, not {limit}")
    said = None if value_range is None else ValueRange(*map(float, value_range))
    place, choice = open_place(path, said), Choice(name_of(path))
    parts: ImageParts
    if isinstance(place, FilesOfImages):
        with reporting(progress, "counting images", "files") as told:
            parts = FileParts(place, choice, known, told)
    elif isinstance(place, Index):
        parts = IndexParts(place, choice)
    elif isinstance(place, ArrayImages) and not isinstance(place, PackedImages):
        parts = ArrayParts(place, choice)
    else:
        whole = ImageSource(place, np.arange(len(place.ids)), choice=choice)
        return whole if limit is None else whole.first(limit)
    return parts if limit is None or limit >= len(parts) else FirstParts(parts, limit)
