"""Finding images by their ids, and the groups that they are of."""

from __future__ import annotations

import numpy as np

from latentmap.codes import find_ids
from latentmap.images.source import ImageSource


def positions_of(images: ImageSource, ids: np.ndarray) -> np.ndarray:
    """Where the images with these ids ``(n,)`` stand, which must be among them, ``(n,)``."""
    return find_ids(images.ids, ids)


def groups_of(images: ImageSource, ids: np.ndarray) -> np.ndarray | None:
    """The groups of the images with these ids ``(n,)``, where images have some."""
    if images.groups is None:
        return None
    groups: np.ndarray = images.groups[positions_of(images, ids)]
    return groups
