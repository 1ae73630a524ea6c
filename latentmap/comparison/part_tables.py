"""The tables of a comparison from moments."""

from __future__ import annotations

from typing import Literal

from latentmap.comparison.indexes import INDEXES
from latentmap.comparison.part_comparison import PartComparison
from latentmap.relocation.tables import COLUMNS
from latentmap.report import Column, Measure, Row, Table

_ROTATION = Column("R2, rotation", "by a rotation with one scale and a shift", "high", 3)
_CYCLE = Column("cycle", "share of the variance of the codes that is lost there and back", "low", 3)


def part_comparison_tables(result: PartComparison) -> list[Table]:
    """The maps, the indexes, and the ways by a third space."""
    names = result.models
    note = f"95 % intervals over {result.n_parts} runs of the {result.n_test:,} images"
    maps = Table(
        "Maps",
        [Column("from"), Column("to"), COLUMNS["r2"], _ROTATION, COLUMNS["l_mse"], _CYCLE],
        [
            Row(
                [
                    names[i],
                    names[j],
                    Measure.of(result.r2[i, j]),
                    Measure.of(result.rotation_r2[i, j]),
                    Measure.of(result.l_mse[i, j]),
                    Measure.of(result.cycle[i, j]),
                ]
            )
            for i, j in result.r2
        ],
        note,
    )
    columns = [Column("between"), Column("and")]
    for name in ("cka", "cca", "procrustes"):
        index = INDEXES[name]
        best: Literal["high", "low"] = "high" if index.higher_is_alike else "low"
        columns.append(Column(index.title, index.meaning, best, 3))
    spaces = Table(
        "Similarity",
        columns,
        [
            Row(
                [
                    names[i],
                    names[j],
                    Measure.of(result.cka[i, j]),
                    Measure.of(result.cca[i, j]),
                    Measure.of(result.procrustes[i, j]),
                ]
            )
            for i, j in result.cka
        ],
        "95 % intervals of a jackknife over the same runs",
    )
    tables = [maps, spaces]
    if result.composed_r2:
        rows = [
            Row([names[i], names[j], names[k], Measure.of(found)])
            for (i, j, k), found in result.composed_r2.items()
        ]
        heads = [Column("from"), Column("by"), Column("to"), COLUMNS["r2"]]
        tables.append(Table("By a third space", heads, rows))
    return tables
