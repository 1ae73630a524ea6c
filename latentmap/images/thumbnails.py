"""Thumbnails: the images that codes are of, small, as files in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from latentmap.codes import Codes, find_ids, is_known
from latentmap.codes.code_file import examples
from latentmap.errors import ImageError
from latentmap.images.prefetch import default_threads, in_order
from latentmap.images.source import ImageSource
from latentmap.progress import Progress

_QUALITY = 90


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails of ``images`` whose longer side has at most ``size`` pixels; ``progress`` counts
    them as they are made.
    """

    images: ImageSource
    size: int
    progress: Progress | None = None

    def of(self, codes: Codes) -> Iterator[bytes]:
        """The images that some codes are of, in the order of the codes, each whole, as a file: PNG
        of grey ones, JPEG of those in colour. They are made ahead in threads; a few are in memory.

        Raises:
            ImageError: an image is not there, or another than the one that was encoded; or, as they
                are made, it cannot be read.
        """
        return self._made(images_of(codes, self.images))

    def _made(self, images: ImageSource) -> Iterator[bytes]:
        threads = default_threads()
        tasks = (partial(_thumbnail, images, place, self.size) for place in range(len(images)))
        for done, file in enumerate(in_order(tasks, threads=threads, ahead=4 * threads), 1):
            yield file
            if self.progress is not None:
                self.progress(done, len(images))


def images_of(codes: Codes, images: ImageSource) -> ImageSource:
    """The images that some codes are of, in the order of the codes: those with the same ids, whose
    contents have to be the same too, where the codes tell them.

    Raises:
        ImageError: one is not there, or another than the one that was encoded.
    """
    rows = find_ids(images.ids, codes.ids)
    missing = codes.ids[rows < 0]
    if len(missing):
        raise ImageError(
            f"{images.path} has no image of {len(missing):,} of the {len(codes):,} codes "
            f"({examples(missing)}): give the images that were encoded"
        )
    found = images.subset(rows)
    known = is_known(codes.digests)
    other = codes.ids[known & (found.digests != codes.digests).any(axis=1)]
    if len(other):
        raise ImageError(
            f"{len(other):,} of the {len(codes):,} images in {images.path} are others than those "
            f"that were encoded ({examples(other)}): give these, or encode anew"
        )
    return found


def _thumbnail(images: ImageSource, position: int, size: int) -> bytes:
    pixels = images.read(position)
    grey = pixels.shape[2] == 1
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
    picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    if grey:
        picture.save(file, "PNG")
    else:
        # Full colour resolution: the edges of small images would run.
        picture.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()
