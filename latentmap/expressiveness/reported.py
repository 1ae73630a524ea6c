"""What a report says that generators are blind to: the verdicts in the tables of its benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from latentmap.report.parts import Report, Section, Table

_BLIND = "blind"
_OF_GROUPS = {"model", "set", "group", "verdict"}
_OF_SECTORS = {"model", "set", "sector", "signs", "blind"}


@dataclass(frozen=True)
class ReportedBlind:
    """A group of a ``set`` of images that a model is blind to, in words; of a sector its ``signs``
    of the leading variables, and which ``sectors`` these are of (``SupportSet.sectors_digest``).
    Groups were cut ``by`` one of these attributes, or crossings of some.
    """

    model: str
    set: str
    group: str
    signs: str = ""
    by: tuple[str, ...] = ()
    sectors: str = ""


def blind_in_report(report: Report) -> tuple[ReportedBlind, ...]:
    """All groups and sectors to which a report calls a generator blind, each once."""
    found = [
        one
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Table)
        for one in _blind_in(block, _by(section), _sectors(section))
    ]
    return tuple(dict.fromkeys(found))


def _by(section: Section) -> tuple[str, ...]:
    """What the groups of a section were cut by; its record may be anybody's."""
    by = section.record.get("by")
    return tuple(map(str, by)) if isinstance(by, list) else ()


def _sectors(section: Section) -> dict[str, str]:
    """The digests of the sectors of each set."""
    known = section.record.get("sectors")
    if not isinstance(known, dict):
        return {}
    return {str(name): str(digest) for name, digest in known.items()}


def _blind_in(
    table: Table, by: tuple[str, ...], sectors: Mapping[str, str]
) -> Iterator[ReportedBlind]:
    titles = [column.title for column in table.columns]
    for row in table.rows:
        cells = {title: str(cell) for title, cell in zip(titles, row.cells, strict=True)}
        if cells.keys() >= _OF_GROUPS and cells["verdict"] == _BLIND:
            yield ReportedBlind(cells["model"], cells["set"], cells["group"], by=by)
        elif cells.keys() >= _OF_SECTORS and cells["blind"] == _BLIND:
            signs = cells["signs"]
            # Without leading variables it is a group of similar images.
            group = f"{'sector' if signs else 'group'} {cells['sector']}"
            of = sectors.get(cells["set"], "") if signs else ""
            yield ReportedBlind(cells["model"], cells["set"], group, signs, sectors=of)
