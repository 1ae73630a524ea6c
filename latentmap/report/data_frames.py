"""Results as DataFrames of pandas, where that is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from latentmap.errors import LatentmapError
from latentmap.report.cells import number_in
from latentmap.report.parts import Cell, Measure, Table

if TYPE_CHECKING:
    from pandas import DataFrame

FIGURE = ("figure", "value", "low", "high")


def pandas_library() -> Any:
    """The library pandas, which latentmap itself does without.

    Raises:
        LatentmapError: it is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise LatentmapError(
            'a DataFrame needs pandas, which is not installed: pip install "latentmap[pandas]"'
        ) from error
    return pandas


def tidy_frame(tables: Sequence[Table]) -> DataFrame:
    """One row a figure of some tables: ``table``, what the figure is of, such as a method or a
    variable, by the titles of the columns that say it, ``figure``, its ``value``, the ends ``low``
    and ``high`` of its interval, and a ``note``. What is not there is missing.

    Raises:
        LatentmapError: pandas is not installed.
    """
    pandas = pandas_library()
    titles = [table.columns[i].title for table in tables for i in _labels(table)]
    columns = ["table", *dict.fromkeys(titles), *FIGURE, "note"]
    return pandas.DataFrame([row for table in tables for row in _rows(table)], columns=columns)


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    """The figures of a table."""
    labels = _labels(table)
    for row in table.rows:
        of = {table.columns[i].title: row.cells[i] for i in labels}
        for i, cell in enumerate(row.cells):
            if i not in labels and cell is not None:
                yield {"table": table.title, **of, "figure": table.columns[i].title, **_said(cell)}


def _labels(table: Table) -> list[int]:
    """The columns that say what a row is of: those of text, and a first one of whole numbers. What
    is upright is of one thing, which its title says.
    """
    if table.upright:
        return []
    cells = list(zip(*(row.cells for row in table.rows), strict=True))
    return [
        i
        for i, column in enumerate(cells)
        if any(isinstance(cell, str) for cell in column)
        or (i == 0 and all(isinstance(cell, int) for cell in column))
    ]


def _said(cell: Cell) -> dict[str, Any]:
    """What a cell says of a figure."""
    if isinstance(cell, str):
        return {"note": cell}
    if isinstance(cell, Measure):
        return {"value": cell.value, "low": cell.low, "high": cell.high, "note": cell.note or None}
    return {"value": number_in(cell)}
