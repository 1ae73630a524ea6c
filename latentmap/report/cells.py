"""What stands in the cells of a table, for every renderer: which are numbers, and their digits."""

from __future__ import annotations

import math

from latentmap.intervals import defined
from latentmap.report.parts import Cell, Measure, Table
from latentmap.report.words import shown_interval, shown_number

_DIGITS = 3  # Of the largest number of a column.
_ROUNDING = 1e-6  # Of a logarithm, as that of 0.01 in float32.


def number_in(cell: Cell) -> float | None:
    """The number in a cell, None where there is none, or it is not finite."""
    number = cell.value if isinstance(cell, Measure) else cell
    return defined(number) if isinstance(number, int | float) else None


def is_number(table: Table, column: int) -> bool:
    """Whether a column holds numbers, which stand to the right."""
    return any(number_in(row.cells[column]) is not None for row in table.rows)


def decimals_of(table: Table, column: int) -> int:
    """Those of the column, or as many as show three digits of its largest number where these are
    more; none of whole numbers.
    """
    cells = [row.cells[column] for row in table.rows]
    least = table.columns[column].decimals
    if all(isinstance(cell, int | str) or cell is None for cell in cells):
        return 0
    numbers = [number for number in map(number_in, cells) if number]
    if not numbers:
        return least
    first = math.floor(math.log10(max(map(abs, numbers))) + _ROUNDING)
    return max(_DIGITS - 1 - first, least)


def cell_texts(cell: Cell, decimals: int) -> tuple[str | None, list[str]]:
    """The value of a cell, None where there is no finite number, and what is said of it: its
    interval, and its note.
    """
    if isinstance(cell, str):
        return cell, []
    number = cell.value if isinstance(cell, Measure) else cell
    value = None if number_in(cell) is None else shown_number(number or 0, decimals)
    if not isinstance(cell, Measure):
        return value, []
    said = [cell.note] if cell.note else []
    if cell.low is not None and cell.high is not None:
        said.insert(0, shown_interval(cell.low, cell.high, decimals))
    return value, said
