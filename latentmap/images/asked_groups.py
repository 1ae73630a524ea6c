"""Groups that are asked for by the names of what is known of images: ``Hat``, or ``Male,Young``.

It is known by a table, by labels that come with the images, or from their pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.attribute_groups import ImageGroups, cut_by
from latentmap.images.attribute_values import LABELS, Attribute, attributes_in, require_columns
from latentmap.images.pixel_attributes import PIXEL_ATTRIBUTES, pixel_attributes
from latentmap.images.source import ImageSource
from latentmap.images.tables import Table, read_table
from latentmap.progress import Progress

# What is known without a table.
KNOWN = (LABELS, *PIXEL_ATTRIBUTES)


@dataclass(frozen=True, eq=False)
class AskedGroups:
    """The crossings of attributes that images are to be cut by, and the ``table`` that has those
    that are not ``labels``, ``brightness`` or ``background``.
    """

    crossings: tuple[tuple[str, ...], ...]
    table: Table | None

    @classmethod
    def of(cls, crossings: Sequence[Sequence[str]], table: str | Path | None = None) -> AskedGroups:
        """Crossings of one or several names each, and the path of a table.

        Raises:
            ImageError: a crossing is asked for twice, there is no such table, or it lacks a column.
        """
        asked = tuple(map(tuple, crossings))
        for number, one in enumerate(asked):
            if set(one) in map(set, asked[:number]):
                raise ImageError(f"groups by {','.join(one)} are asked for twice: ask once")
        columns = [name for one in asked for name in one if name not in KNOWN]
        if not columns:
            return cls(asked, None)
        if table is None:
            raise ImageError(
                f"{columns[0]} is a column of a table of attributes: give the table, or take one "
                f"of {', '.join(KNOWN)}"
            )
        found = read_table(Path(table))
        require_columns(found, columns)
        return cls(asked, found)

    def cut(
        self, *sources: ImageSource, progress: Progress | None = None
    ) -> list[list[ImageGroups]]:
        """The groups of each of some ``sources`` of images, by each of the crossings; what is not
        known of an image leaves it out of the groups.

        Raises:
            ImageError: an attribute is known of no image of any source, or has too many values.
        """
        names = list(dict.fromkeys(name for one in self.crossings for name in one))
        known = self._of_table(sources, [name for name in names if name not in KNOWN])
        labels = _labels_of(sources) if LABELS in names else [None] * len(sources)
        pixels = [name for name in names if name in PIXEL_ATTRIBUTES]
        found = []
        for images, label in zip(sources, labels, strict=True):
            mine = list(known)
            if label is not None:
                mine.append(label)
            if pixels:
                mine += pixel_attributes(images, pixels, progress=progress)
            by_name = {one.name: one for one in mine}
            found.append(
                [cut_by([by_name[name] for name in one], images.ids) for one in self.crossings]
            )
        return found

    def _of_table(self, sources: Sequence[ImageSource], names: Sequence[str]) -> list[Attribute]:
        if self.table is None:
            return []
        ids = np.unique(np.concatenate([one.ids for one in sources]))
        return attributes_in(self.table, ids, names)


def _labels_of(sources: Sequence[ImageSource]) -> list[Attribute]:
    words = [one.labels for one in sources]
    if all(one is None for one in words):
        raise ImageError(
            f"the labels of {sources[0].path} are not known: take the column of a table of "
            "attributes that has them"
        )
    return [
        Attribute.of_classes(LABELS, images.ids, np.full(len(images), "") if of is None else of)
        for images, of in zip(sources, words, strict=True)
    ]
