"""Tables as text for a terminal.

What stands in them may come from files of others: here, once, it becomes text that a terminal
cannot take for commands.
"""

from __future__ import annotations

from collections.abc import Sequence

from latentmap.printing import printable
from latentmap.report.cells import cell_texts, decimals_of, is_number
from latentmap.report.parts import Table

_APART = "  "
_WIDTH = 120  # Of a line. A wider table stands in parts, below each other.
_NOTHING = "-"
_MINUS = "\N{MINUS SIGN}"  # On a page; numbers in a terminal are copied into programs.


def as_text(tables: Sequence[Table]) -> str:
    """Tables below each other, each with its title where there are several."""
    if len(tables) == 1:
        return table_text(tables[0])
    return "\n\n".join(f"{_plain(table.title)}\n{table_text(table)}" for table in tables)


def table_text(table: Table) -> str:
    """Aligned columns, numbers to the right, and the note below; without the title. A table that is
    too wide for a terminal stands in parts, each with the columns that say what a row is of.

    Example:
        >>> from latentmap.report import Column, Measure, Row
        >>> rows = [Row(["ridge", Measure(0.5, 0.4, 0.6)]), Row(["pls", -0.25])]
        >>> print(table_text(Table("Methods", [Column("method"), Column("R2")], rows, "A note.")))
        method  R2
        ridge    0.500 [0.400, 0.600]
        pls     -0.250
        A note.
    """
    columns = [_column(table, number) for number in range(len(table.columns))]
    parts = [_turned(table, columns)] if table.upright else _parts(table, columns)
    text = "\n\n".join("\n".join(_lines(part)) for part in parts)
    return "\n".join([text, *map(_plain, filter(None, table.note.split("\n")))])


def _lines(columns: Sequence[Sequence[str]]) -> list[str]:
    return [_APART.join(cells).rstrip() for cells in zip(*columns, strict=True)]


def _parts(table: Table, columns: Sequence[list[str]]) -> list[list[list[str]]]:
    """The columns in parts that fit into a line, each with those that come before all numbers; one
    part where there are no numbers, or where these columns alone fill half of a line.
    """
    numbers = [i for i in range(len(columns)) if is_number(table, i)]
    first = max(numbers[0], 1) if numbers else len(columns)
    names, parts = list(columns[:first]), [list(columns[:first])]
    if _width(names) > _WIDTH / 2:
        return [list(columns)]
    for column in columns[first:]:
        if len(parts[-1]) > first and _width([*parts[-1], column]) > _WIDTH:
            parts.append([*names])
        parts[-1].append(column)
    return parts


def _width(columns: Sequence[Sequence[str]]) -> int:
    """Of a line of columns whose cells are of one width each."""
    return sum(len(column[0]) + len(_APART) for column in columns) - len(_APART)


def _column(table: Table, number: int) -> list[str]:
    """A head and the cells below it, all of one width."""
    decimals = decimals_of(table, number)
    texts = [cell_texts(row.cells[number], decimals) for row in table.rows]
    right = is_number(table, number)
    shown = [_NOTHING if value is None else _plain(value) for value, _ in texts]
    more = [_plain(" ".join(said)) for _, said in texts]
    cells = [
        f"{value} {said}" if said else value
        for value, said in zip(_aligned(shown, right=right), more, strict=True)
    ]
    head = _plain(table.columns[number].title)
    if table.upright:
        return [head, *cells]
    # A head stands over the numbers that it is of, and over an interval at its beginning.
    return _aligned([head, *cells], right=right and not any(more))


def _turned(table: Table, columns: Sequence[Sequence[str]]) -> list[list[str]]:
    """A table of one row, turned: what is there in lines, with what it means."""
    heads, cells = (list(part) for part in zip(*columns, strict=True))
    meanings = [_plain(column.meaning) for column in table.columns]
    return [_aligned(heads), _aligned(cells), meanings]


def _aligned(cells: Sequence[str], *, right: bool = False) -> list[str]:
    width = max(map(len, cells), default=0)
    return [cell.rjust(width) if right else cell.ljust(width) for cell in cells]


def _plain(text: str) -> str:
    return printable(text).replace(_MINUS, "-")
