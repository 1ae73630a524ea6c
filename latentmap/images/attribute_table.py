"""A table of attributes in Python: its columns as arrays that are aligned with codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.images.attribute_values import known_rows, require_columns
from latentmap.images.tables import Table, read_table


@dataclass(frozen=True, eq=False, repr=False)
class Attributes:
    """What a table says of images; it need not have all of them.

    Example:
        >>> table = Table("faces.csv", ["1.png", "2.png"], {"Young": np.array([1.0, -1.0])})
        >>> Attributes(table).values("Young", ["a/2.png", "a/1.png", "a/3.png"]).tolist()
        [-1.0, 1.0, nan]
    """

    table: Table

    def __repr__(self) -> str:
        return f"<Attributes: {', '.join(self.names)} of {len(self.table.names)} images>"

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes, in the order of the columns."""
        return tuple(self.table.columns)

    def values(self, name: str, ids: np.ndarray | Sequence[str]) -> np.ndarray:
        """The column ``name`` for the images ``ids`` ``(n,)``, such as ``codes.ids``, in their
        order: float64 ``(n,)`` with NaN for images that are not in the table, or text, which is
        empty for these. Images are found by full path, else by base name.

        Raises:
            ImageError: there is no such column, or none of the images is in the table.
        """
        require_columns(self.table, [name])
        ids = np.asarray(ids, np.str_)
        rows, column = known_rows(ids, self.table), self.table.columns[name]
        missing = "" if column.dtype.kind == "U" else np.nan
        values: np.ndarray = np.where(rows >= 0, column[rows], missing)
        return values


def read_attributes(path: str | Path) -> Attributes:
    """The attributes in a table: csv with a head, of which the first column is the image, or
    CelebA's ``list_attr_celeba.txt``.

    Raises:
        ImageError: the file cannot be read, or is no such table.
    """
    return Attributes(read_table(Path(path)))
