"""Which of some images a map was fitted on, whatever was known of these then.

Images are known by their contents. Those of files of codes without images are known by their ids
alone, and those of files without ids by their positions: a map fitted on such ones may meet the
images themselves, or one fitted on images meet files of their codes.

Shapes: ``n`` images, digests ``(n, 16)`` uint8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.codes import FITTED, Seen
from latentmap.codes.ids import digests_of_ids
from latentmap.codes.units import contains
from latentmap.images import ImageSource
from latentmap.mapping import LinearMap
from latentmap.mapping.map_checks import KNOWN_BY, UNKEPT


def fitted_on(linear_map: LinearMap, ids: np.ndarray, digests: np.ndarray) -> Seen:
    """What a map has seen, as ``hold_out`` finds it among images of these ``ids`` ``(n,)`` and
    ``digests``: by their contents, and by their ids where the map knew no more of its images.
    """
    by_id = contains(linear_map.train_digests, digests_of_ids(ids))
    return Seen(FITTED, np.concatenate([linear_map.train_digests, digests[by_id]]))


def unknown_overlap(maps: Sequence[LinearMap], images: ImageSource) -> str:
    """What is to be said where nobody knows whether a map was fitted on some of the images; empty
    where that is known.
    """
    for linear_map in maps:
        if linear_map.record.get(UNKEPT):
            return (
                f"this map was fitted on {linear_map.n_pairs:,} images, too many for it to keep "
                "which: those that it was fitted on are not left out; of the same data give the "
                "split test"
            )
        known = linear_map.record.get(KNOWN_BY, "contents")
        # Ids are found again among images; another file with positions is of other images.
        if known != images.known_by and (known, images.known_by) != ("ids", "contents"):
            return (
                f"the images that this map was fitted on are known by their {known}, and these by "
                f"their {images.known_by} alone: those that it was fitted on are not left out; "
                "give images that it was not fitted on"
            )
    return ""
