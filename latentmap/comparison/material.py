"""What a comparison works on: the codes of two splits of some images in all spaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.cache import Coder
from latentmap.codes import Codes
from latentmap.comparison.indexes import FEWEST
from latentmap.comparison.spaces import join
from latentmap.errors import PairError
from latentmap.images import ImageSource, Split
from latentmap.model import Model


@dataclass(frozen=True, eq=False)
class Material:
    """The codes to fit on and to judge by, in every space, and the images that they are of."""

    images: ImageSource
    train: list[Codes]
    test: list[Codes]

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        images: ImageSource,
        coder: Coder,
        *,
        split: Split,
    ) -> Material:
        """The codes of one split, and of the split test.

        Raises:
            ModelError: a model has no encoder.
            PairError: fewer than 20 test images, or all of one group.
            ImageError, CacheError: as encoding raises them.
        """
        fitted, test_images = images.split(split).ids, images.split("test")
        judged, groups = test_images.ids, test_images.groups
        if groups is not None and len(np.unique(groups)) == 1:
            raise PairError(
                f"all {len(judged)} test images are of one group, and intervals need two or more: "
                "give images of more groups, or leave out --group-by"
            )
        spaces = join(coder.codes(models, images))
        train, test = (
            [codes.take(np.flatnonzero(np.isin(spaces[0].ids, ids))) for codes in spaces]
            for ids in (fitted, judged)
        )
        if len(test[0]) < FEWEST:
            raise PairError(
                f"a comparison needs at least {FEWEST} images in the split test, not "
                f"{len(test[0])}: give more images"
            )
        return cls(images, train, test)

    def groups_of(self, codes: Codes) -> np.ndarray | None:
        """The groups of the images of some codes, where they have some."""
        if self.images.groups is None:
            return None
        groups: np.ndarray = self.images.groups[self._positions(codes)]
        return groups

    def images_of(self, codes: Codes) -> ImageSource:
        """The images of some codes, row by row."""
        return self.images.subset(self._positions(codes))

    def _positions(self, codes: Codes) -> np.ndarray:
        order = np.argsort(self.images.ids)
        return np.asarray(order[np.searchsorted(self.images.ids, codes.ids, sorter=order)])
