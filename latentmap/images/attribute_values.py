"""What is known of each image, as numbers: classes of attributes and labels, or numbers themselves.

It need not be known of all images. Shapes: ``n`` images.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.codes import find_ids
from latentmap.errors import ImageError
from latentmap.images.naming import find_rows
from latentmap.images.tables import Table, as_names

LABELS = "labels"
_SOME = 10


@dataclass(frozen=True, eq=False)
class Attribute:
    """What is known by the name ``name`` of images with some ``ids`` ``(n,)``.

    ``values`` ``(n,)``, float64, are numbers; or the positions of the images' classes in
    ``classes``, which are sorted, where there are some. NaN where it is not known.

    Example:
        >>> ids, words = np.array(["a", "b", "c"]), np.array(["red", "", "brown"])
        >>> one = Attribute.of_classes("hair", ids, words)
        >>> one.classes, one.of(np.array(["a", "b", "d"])).tolist()
        (('brown', 'red'), [1.0, nan, nan])
    """

    name: str
    ids: np.ndarray
    values: np.ndarray
    classes: tuple[str, ...] = ()

    @classmethod
    def of_classes(cls, name: str, ids: np.ndarray, words: np.ndarray) -> Attribute:
        """The classes that ``words`` ``(n,)`` name; that of an empty one is not known."""
        classes = np.unique(words[words != ""])
        values = np.searchsorted(classes, words).astype(np.float64)
        values[words == ""] = np.nan
        return cls(name, ids, values, tuple(map(str, classes)))

    @classmethod
    def of_column(cls, name: str, ids: np.ndarray, column: np.ndarray) -> Attribute:
        """What a column ``(n,)`` of a table says: numbers, if it has no words, and more than two
        values; else classes.
        """
        numbers = _numbers(column)
        if numbers is None:
            return cls.of_classes(name, ids, column)
        known = np.isfinite(numbers)
        different = np.unique(numbers[known])
        if len(different) > 2:
            return cls(name, ids, np.where(known, numbers, np.nan))
        places = np.searchsorted(different, numbers).astype(np.float64)
        classes = tuple(map(str, as_names(different)))
        return cls(name, ids, np.where(known, places, np.nan), classes)

    def of(self, ids: np.ndarray) -> np.ndarray:
        """The values ``(m,)`` of images with these ``ids`` ``(m,)``."""
        rows = find_ids(self.ids, ids)
        return np.where(rows >= 0, self.values[rows], np.nan)


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Refuses a table that lacks one of the columns ``names``.

    Raises:
        ImageError: so it is.
    """
    for name in names:
        if name not in table.columns:
            close = difflib.get_close_matches(name, table.columns, n=1)
            some = ", ".join([*table.columns][:_SOME])
            more = ", ..." if len(table.columns) > _SOME else ""
            advice = f"did you mean {close[0]!r}?" if close else f"it has {some}{more}"
            raise ImageError(f"{table.title} has no column {name!r}: {advice}")


def attributes_in(table: Table, ids: np.ndarray, names: Sequence[str]) -> list[Attribute]:
    """What the columns ``names`` of a table say of images with some ``ids`` ``(n,)``.

    Raises:
        ImageError: there is no such column, or none of the images is in the table.
    """
    require_columns(table, names)
    rows = known_rows(ids, table)
    mine, rows = ids[rows >= 0], rows[rows >= 0]
    return [Attribute.of_column(name, mine, table.columns[name][rows]) for name in names]


def labels_in(table: Table, column: str, ids: np.ndarray) -> Attribute:
    """The labels of images with some ``ids`` ``(n,)`` in a column of a table, as classes.

    Raises:
        ImageError: none of the images is in the table.
    """
    rows = known_rows(ids, table)
    mine, rows = ids[rows >= 0], rows[rows >= 0]
    return Attribute.of_classes(LABELS, mine, as_names(table.columns[column][rows]))


def known_rows(ids: np.ndarray, table: Table) -> np.ndarray:
    """For each of some images ``ids`` ``(n,)`` its row in a table, -1 where that has none.

    Raises:
        ImageError: it has none of them.
    """
    rows = find_rows(ids, table.names, table.title)
    if (rows < 0).all():
        raise ImageError(
            f"none of the {len(ids)} images ({ids[0]} is the first) is in {table.title}: give the "
            "table of these images"
        )
    return rows


def _numbers(column: np.ndarray) -> np.ndarray | None:
    """A column as float64, NaN where a field is empty; None where one is a word."""
    if column.dtype.kind == "f":
        return column
    try:
        return np.where(column == "", "nan", column).astype(np.float64)
    except ValueError:
        return None
