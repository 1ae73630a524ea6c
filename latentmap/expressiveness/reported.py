"""What a report says that generators are blind to: the verdicts in the tables of its benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from latentmap.report.parts import Report, Table

_BLIND = "blind"
_OF_GROUPS = {"model", "set", "group", "verdict"}
_OF_SECTORS = {"model", "set", "sector", "signs", "blind"}


@dataclass(frozen=True)
class ReportedBlind:
    """A group of a ``set`` of images that a model is blind to, in words; of a sector its ``signs``
    of the leading variables.
    """

    model: str
    set: str
    group: str
    signs: str = ""


def blind_in_report(report: Report) -> tuple[ReportedBlind, ...]:
    """All groups and sectors to which a report calls a generator blind, each once."""
    tables = [
        block for section in report.sections for block in section.blocks if isinstance(block, Table)
    ]
    return tuple(dict.fromkeys(one for table in tables for one in _blind_in(table)))


def _blind_in(table: Table) -> Iterator[ReportedBlind]:
    titles = [column.title for column in table.columns]
    for row in table.rows:
        cells = {title: str(cell) for title, cell in zip(titles, row.cells, strict=True)}
        if cells.keys() >= _OF_GROUPS and cells["verdict"] == _BLIND:
            yield ReportedBlind(cells["model"], cells["set"], cells["group"])
        elif cells.keys() >= _OF_SECTORS and cells["blind"] == _BLIND:
            signs = cells["signs"]
            # Without leading variables it is a group of similar images.
            group = f"{'sector' if signs else 'group'} {cells['sector']}"
            yield ReportedBlind(cells["model"], cells["set"], group, signs)
