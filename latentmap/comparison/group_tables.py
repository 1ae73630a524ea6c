"""The tables of what the maps of a comparison lose by groups of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from latentmap.chances import SIGNIFICANCE
from latentmap.comparison.groups import WayLoss, WaysByGroup
from latentmap.relocation.groups import GroupLoss, Loss
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import intervals_in_words, pair_id

if TYPE_CHECKING:
    from latentmap.comparison.result import ModelComparison

_NAMED = 6  # Ways in a sentence.
_TOLD: tuple[Loss, ...] = ("more", "less")
_SAID: dict[Loss, str] = {
    "more": "more is lost",
    "less": "less is lost",
    "no more": "no more is lost",
    "not told": "it cannot be told",
    "too few": "there are too few images",
}


def group_tables(result: ModelComparison) -> list[Table]:
    """A table a cut, one line a way and group."""
    return [_cut_table(result, one) for one in result.by_group]


def _cut_table(result: ModelComparison, found: WaysByGroup) -> Table:
    several = len({way.group for way in found.ways}) > 1
    decoded = any(way.images is not None for way in found.ways)
    columns: list[tuple[Column, Callable[[WayLoss], Cell]]] = [
        (Column("from"), lambda way: result.models[way.source].label),
        (Column("to"), lambda way: result.models[way.target].label),
        (Column("group"), lambda way: way.group),
        (Column("images"), lambda way: way.n),
        (Column("R2", "of the codes of the group", "high", 3), lambda way: Measure.of(way.r2)),
        (
            Column("R2 of the rest", "of the other codes", "high", 3),
            lambda way: Measure.of(way.other_r2),
        ),
        (
            Column(
                "codes x rest", "share of codes that is missed, over that of the rest", "low", 2
            ),
            lambda way: _measure(way.codes),
        ),
    ]
    if decoded:
        head = "error of images over the target's own, over that of the rest"
        column = Column("images x rest", head, "low", 2)
        columns.append((column, lambda way: _measure(way.images)))
    rows = [
        Row([cell(way) for _, cell in columns], pair_id(way.source, way.target))
        for way in found.ways
    ]
    note = "\n".join([*sentences(result, found), _note(result, found)])
    table = Table(f"Maps by {found.by}", [head for head, _ in columns], rows, note)
    return table if several else table.without("group")


def sentences(result: ModelComparison, found: WaysByGroup) -> list[str]:
    """On which ways more is lost on a group than on the rest, over what the target itself loses; of
    codes where there are no images.
    """
    said = []
    for group in dict.fromkeys(way.group for way in found.ways):
        ways = [way for way in found.ways if way.group == group]
        of_images = any(way.images is not None for way in ways)
        verdicts: dict[Loss, list[str]] = {verdict: [] for verdict in _SAID}
        for way in ways:
            loss = way.images if of_images else way.codes
            if loss is not None:
                names = [result.models[number].label for number in (way.source, way.target)]
                verdicts[loss.verdict].append(" to ".join(names))
        what = "images, over the target's own error" if of_images else "codes"
        parts = [
            f"{_SAID[verdict]}{_on(names, len(ways))}"
            for verdict, names in verdicts.items()
            if names
        ]
        said.append(f"{group}, than on the rest ({what}): {'; '.join(parts)}")
    return said


def _on(names: Sequence[str], n: int) -> str:
    """On which of ``n`` ways."""
    if len(names) == n and n > 1:
        return " on all ways"
    more = f" and {len(names) - _NAMED} others" if len(names) > _NAMED else ""
    return f" from {', '.join(names[:_NAMED])}{more}"


def _measure(loss: GroupLoss | None) -> Measure | None:
    if loss is None:
        return None
    return Measure.of(loss.found.ratio, "*" if loss.verdict in _TOLD else "")


def _note(result: ModelComparison, found: WaysByGroup) -> str:
    note = (
        f"{intervals_in_words(result.n_units)}; images on {result.n_scored:,} (-n N takes more); "
        f"* : not as the rest, at the level {SIGNIFICANCE:g} corrected for all ways and groups "
        "(Holm)"
    )
    if found.n_unknown:
        images = "image" if found.n_unknown == 1 else "images"
        note += f"; {found.n_unknown:,} {images} left out, of which {found.by} is not known"
    return note
