"""How far images lie from a mean image: what their errors are held against.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1], read a few at a time; a mean image ``(h, w, c)``.
"""

from __future__ import annotations

import numpy as np

from latentmap.images.spooled import SpooledImages

_BLOCK = 64  # Images at a time.


def mean_image(images: SpooledImages) -> np.ndarray:
    """The mean of all images, ``(h, w, c)`` in [0, 1]; by sums of whole numbers."""
    sums = np.zeros(images.pixels(slice(0, 1)).shape[1:], np.int64)
    for start in range(0, len(images), _BLOCK):
        sums += images.pixels(slice(start, start + _BLOCK)).astype(np.int64).sum(0)
    mean: np.ndarray = sums / len(images) / 255
    return mean


def squares_from(images: SpooledImages, mean: np.ndarray, *, among: bool) -> np.ndarray:
    """The mean squared difference ``(n,)`` of each image from a ``mean``. Where the images are
    ``among`` those that it is the mean of, it is raised by n / (n - 1), so that the mean of all is
    the variance of a pixel.
    """
    parts = []
    for start in range(0, len(images), _BLOCK):
        block = images.pixels(slice(start, start + _BLOCK)) / 255 - mean
        parts.append(np.square(block).mean((1, 2, 3)))
    n = len(images)
    found: np.ndarray = np.concatenate(parts) * (n / (n - 1) if among else 1)
    return found
