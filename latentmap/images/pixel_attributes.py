"""What the pixels of images say without a table: how bright they are, and their background.

Shapes: ``n`` images, batches ``(k, 1, s, s)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from latentmap.images.attribute_values import Attribute
from latentmap.images.source import ImageSource
from latentmap.progress import Progress

BRIGHTNESS, BACKGROUND = "brightness", "background"
PIXEL_ATTRIBUTES = (BRIGHTNESS, BACKGROUND)
_SIDE = 32
_RIM = _SIDE // 8
_BATCH = 256


def pixel_attributes(
    images: ImageSource, names: Sequence[str], *, progress: Progress | None = None
) -> list[Attribute]:
    """The attributes of images that are called by these names, as numbers in [0, 1].

    ``brightness`` is the mean of the grey picture, whatever part of it a model sees, and
    ``background`` that of its outermost eighth on all sides. That of an image that cannot be read
    is not known.
    """
    view = images.view(size=(_SIDE, _SIDE), channels=1)
    found = {name: np.full(len(images), np.nan) for name in PIXEL_ATTRIBUTES}
    for batch in images.batches([view], batch_size=_BATCH, on_error="skip"):
        for name, values in measure_pixels(batch.floats(0)).items():
            found[name][batch.positions] = values
        if progress is not None:
            progress(batch.stop, len(images))
    return [Attribute(name, images.ids, found[name]) for name in names]


def measure_pixels(images: Tensor) -> dict[str, np.ndarray]:
    """The attributes of grey images ``(k, 1, s, s)`` in [0, 1], each ``(k,)``, float64."""
    grey = images[:, 0].double()
    inner = grey[:, _RIM:-_RIM, _RIM:-_RIM]
    whole, within = grey.sum((1, 2)), inner.sum((1, 2))
    return {
        BRIGHTNESS: (whole / grey[0].numel()).numpy(),
        BACKGROUND: ((whole - within) / (grey[0].numel() - inner[0].numel())).numpy(),
    }
