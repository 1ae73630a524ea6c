"""Images found by their contents, and what a model sees of them.

Shapes: ``n`` images; pixels are uint8 ``(n, h, w, c)``.
"""

from __future__ import annotations

import numpy as np

from latentmap.codes import first_of_content
from latentmap.images import ImageSource, OnError, View

_BATCH = 64


def find_by_content(images: ImageSource, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first positions ``(k,)`` of images in a data set by the digests ``(k, 16)`` of their
    contents, and which are there at all; those that are not have the position 0.
    """
    n = len(images)
    first = first_of_content(np.concatenate([images.digests, digests]))[n:]
    found = first < n
    return np.where(found, first, 0), found


def read_pixels(
    images: ImageSource, view: View, *, on_error: OnError = "stop"
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Images as a view sees them, uint8 ``(n, h, w, c)``, in memory, and the ids of skipped ones.

    Raises:
        ImageError: one cannot be read and ``on_error`` is ``stop``.
    """
    parts, skipped = [], []
    for batch in images.batches([view], batch_size=_BATCH, on_error=on_error):
        parts.append(batch.images[0].permute(0, 2, 3, 1).numpy())
        skipped += [str(images.ids[position]) for position, _ in batch.failed]
    return np.ascontiguousarray(np.concatenate(parts)), tuple(skipped)
