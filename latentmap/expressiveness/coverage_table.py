"""The table of coverage, of the benchmark and of images of random codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from latentmap.expressiveness.coverage import CLIPPED, FIGURES, Coverage
from latentmap.report import Cell, Column, Measure, Row, Table


def coverage_table(
    rows: Iterable[tuple[Sequence[Cell], Coverage]], space: str, note: str = ""
) -> Table:
    """The figures of models beside sets, each after the names of the two, in a ``space`` such as
    "codes of svae", without their intervals.
    """
    names = (*FIGURES, *CLIPPED)
    columns = [
        Column("model"),
        Column("set"),
        *(Column(name.replace("_", " "), "", "high", 3) for name in names),
        Column("realism", "median over generated images; inside of a ball from 1 on", "high", 3),
    ]
    cells = [
        Row([*head, *(Measure.of(getattr(one, name)) for name in (*names, "realism"))])
        for head, one in rows
    ]
    titles = [column.title for column in columns]
    return Table(f"Coverage in {space}", columns, cells, note).bare(*titles)
