"""The tables of what a map does by groups of images, and the sentences below them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from latentmap.images.group_ratios import FEWEST
from latentmap.relocation.groups import Cut, GroupLoss, GroupScores, Held, Loss, ScoresByGroup
from latentmap.relocation.scored_figures import HIGH_FLOOR
from latentmap.relocation.tables import COLUMNS, figures_there
from latentmap.report import Cell, Column, Measure, Row, Table, with_interval
from latentmap.report.words import intervals_in_words

_FIGURES = ("efficiency", "r2", "m_mse", "floor_mse", "baseline_mse")
_RATIOS: Mapping[Held, Column] = {
    "floor": Column("over floor", "M_mse over the floor, over that of the rest", "low", 2),
    "nothing": Column("x rest", "M_mse over that of the rest", "low", 2),
    "variance": Column(
        "codes x rest", "share of the codes that is missed, over that of the rest", "low", 2
    ),
}
_P = Column("p", "corrected for all groups that are asked for (Holm)", decimals=3)
# What follows, by what losses are held against.
_SAID: Mapping[Held, Mapping[Loss, str]] = {
    "floor": {
        "more": "the map loses more than the target does itself",
        "no more": "the map loses no more than the target does itself",
        "less": "the map loses less than the target does itself",
        "not told": "whether the map loses more than the target does itself cannot be told",
    },
    "nothing": {
        "more": "relocated images are farther off than the others",
        "no more": "relocated images are no farther off than the others",
        "less": "relocated images are less far off than the others",
        "not told": "whether relocated images are farther off than the others cannot be told",
    },
    "variance": {
        "more": "the map misses a larger share of the codes than of the others",
        "no more": "the map misses no larger share of the codes than of the others",
        "less": "the map misses a smaller share of the codes than of the others",
        "not told": "whether the map misses a larger share of the codes cannot be told",
    },
}


def cut_tables(found: ScoresByGroup) -> list[Table]:
    """A table a cut."""
    return [_cut_table(one, found) for one in found.cuts]


def _cut_table(cut: Cut, found: ScoresByGroup) -> Table:
    """One line a group, with what follows below."""
    there = figures_there(cut.groups[0].figures, _FIGURES) if cut.groups else []
    plain = found.held == "floor"
    # What is asked stands first: on a narrow page the rest has to be scrolled to.
    columns = [Column("group"), Column("images"), _RATIOS[found.held], _P]
    columns += [*[_RATIOS["nothing"]] * plain, *(COLUMNS[name] for name in there)]
    rows = []
    for one in cut.groups:
        cells: list[Cell] = [one.name, one.n]
        cells += [
            None if one.loss is None else Measure.of(one.loss.found.ratio),
            None if one.loss is None else one.loss.found.corrected,
        ]
        cells += [Measure.of(one.plain)] if plain else []
        cells += _measures(one, there)
        rows.append(Row(cells))
    notes = [*sentences(cut, found.held), _note(cut, found)]
    return Table(f"By {cut.by}", columns, rows, "\n".join(notes))


def _measures(one: GroupScores, names: Sequence[str]) -> list[Measure]:
    return [Measure.of(getattr(one.figures, name)) for name in names]


def sentences(cut: Cut, held: Held) -> list[str]:
    """What follows for each group that was compared with the rest."""
    return [_sentence(one, one.loss, held) for one in cut.groups if one.loss is not None]


def _sentence(one: GroupScores, loss: GroupLoss, held: Held) -> str:
    if loss.verdict == "too few":
        of = "it has" if one.n_units < FEWEST else "the rest has"
        return (
            f"{one.name}: {of} fewer than {FEWEST} images or groups, of which nothing can be said"
        )
    ratio = loss.found.ratio
    times = f": {with_interval(ratio, 2)} times" if math.isfinite(ratio.value) else ""
    return f"{one.name}: {_SAID[held][loss.verdict]}{times}"


def _note(cut: Cut, found: ScoresByGroup) -> str:
    said = [intervals_in_words(min((one.n_units for one in cut.groups), default=0))]
    if found.asked > 1:
        said.append(f"p corrected for {found.asked} groups (Holm)")
    high = [one.name for one in cut.groups if one.figures.has_high_floor]
    if high:
        said.append(f"efficiency says little of {', '.join(high)}: {HIGH_FLOOR}")
    if cut.n_unknown:
        images = "image" if cut.n_unknown == 1 else "images"
        said.append(f"{cut.n_unknown:,} {images} left out, of which {cut.by} is not known")
    return "; ".join(said)
