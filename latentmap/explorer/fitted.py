"""Which images the maps were fitted on: they lose less of these than of others.

Shapes: ``n`` images, ``m`` points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentmap.codes.units import contains
from latentmap.explorer.named_codes import CodesById
from latentmap.images import ImageSource
from latentmap.mapping import LinearMap
from latentmap.relocation.overlap import fitted_on, unknown_overlap


class FittedImages:
    """Which of the ``images`` with ``codes`` each of some ``maps`` was fitted on, by its number."""

    def __init__(self, maps: Sequence[LinearMap], codes: CodesById, images: ImageSource) -> None:
        self._maps, self._codes, self._images = maps, codes, images
        self._known: dict[int, np.ndarray | None] = {}

    def of_map(self, number: int) -> np.ndarray | None:
        """Of each image whether the map was fitted on it ``(n,)``; None where nobody knows."""
        if number not in self._known:
            self._known[number] = self._find(self._maps[number])
        return self._known[number]

    def has(self, number: int, name: str) -> bool | None:
        """Whether a map was fitted on the image that is called so; None where nobody knows."""
        fitted, row = self.of_map(number), self._codes.row_of(name)
        return None if fitted is None or row is None else bool(fitted[row])

    def note(self, number: int, rows: np.ndarray) -> str:
        """What has to be known of the errors of a map on the images of the ``rows`` ``(m,)``."""
        fitted = self.of_map(number)
        if fitted is None:
            return "Which of these the map was fitted on is not known: it loses less of those."
        n = np.count_nonzero(fitted[rows])
        if not n:
            return ""
        if n == len(rows):
            return "The map was fitted on all of these images: it loses more of others."
        return f"The map was fitted on {n:,} of these images: it loses less of those."

    def _find(self, linear_map: LinearMap) -> np.ndarray | None:
        if unknown_overlap([linear_map], self._images):
            return None
        codes = self._codes.codes
        return contains(fitted_on(linear_map, codes.ids, codes.digests).digests, codes.digests)
