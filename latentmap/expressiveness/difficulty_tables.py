"""The tables of how hard sets are: beside random real images, beside their spread, and how far out
the codes lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from latentmap.expressiveness.difficulty import PLAIN, WHOLES, in_words
from latentmap.expressiveness.ratios import ratio_measure, without_untold
from latentmap.expressiveness.result import Expressiveness, SetScores
from latentmap.intervals import Estimate
from latentmap.inversion.distance_cells import distance_cells, distance_columns
from latentmap.inversion.ranges import at_border
from latentmap.report import Cell, Column, Measure, Row, Table

_HEAD = (Column("model"), Column("set"))
_KINDS = {"network": "network", "limit": "limit", "anywhere": "limit anywhere"}


def against_table(results: Sequence[Expressiveness]) -> Table:
    """How much harder each set is than random images of the same data, and what follows."""
    columns = [
        *_HEAD,
        Column("error"),
        Column("x random", "error over that of random real images", "low", 2),
        Column("over mean image", "the same of errors over the mean image's", "low", 2),
        Column("over variance", "the same of errors over the variance of each set", "low", 2),
        Column("over reference", "the same of errors over the reference model's", "low", 2),
    ]
    rows, notes = [], []
    for result, scores in _others(results):
        for kind, one in scores.against.items():
            cells: list[Cell] = [result.name, scores.name, _KINDS[kind]]
            cells += [_ratio(one.ratios, name) for name in (PLAIN, *WHOLES)]
            rows.append(Row(cells))
        if scores.against:
            notes.append(sentence(result, scores))
    table = Table("Beside random real images", columns, rows)
    table, said = without_untold(table, *(column.title for column in columns[3:]))
    return replace(table, note="\n".join(filter(None, [said, *notes])))


def sentence(result: Expressiveness, scores: SetScores) -> str:
    """What follows of a set that was compared with random images."""
    kind = scores.held.decisive
    said = in_words(
        result.name,
        scores.name,
        scores.against[kind],
        kind=kind,
        reference=str(result.record["encoder_name"]),
    )
    doubted = result.doubts(scores) and kind != "network"
    return f"{said} (unreliable, as the search is)" if doubted else said


def shares_table(results: Sequence[Expressiveness]) -> Table:
    """The errors of each set over what they are held against."""
    columns = [
        *_HEAD,
        Column("error"),
        Column("of mean image", "error over that of the mean of random images", "low", 3),
        Column("of variance", "error over the variance of the set", "low", 3),
        Column("x reference", "error over that of the reference model", "low", 2),
    ]
    rows = []
    for result in results:
        for scores in (result.own, *result.sets):
            for kind, shares in scores.shares.items():
                cells: list[Cell] = [result.name, scores.name, _KINDS[kind]]
                rows.append(Row([*cells, *(_measure(shares, name) for name in WHOLES)]))
    return _known(Table("Errors beside what there is to reproduce", columns, rows))


def distances_table(results: Sequence[Expressiveness]) -> Table:
    """How far the codes lie from what the generators sample."""
    columns = [
        *_HEAD,
        Column("codes"),
        *distance_columns(),
        Column("at border", "share of codes that lie at the border of the range", decimals=2),
    ]
    rows = []
    for result in results:
        for scores in (result.own, *result.sets):
            for method, one in scores.reproductions.items():
                places = {method: one.distance}
                if one.anywhere is not None:
                    places[f"{method} anywhere"] = one.anywhere.distance.double().numpy()
                for name, distance in places.items():
                    cells = distance_cells(distance, one.distance_limit)
                    out = float(
                        at_border(torch.from_numpy(distance), one.distance_limit).float().mean()
                    )
                    rows.append(Row([result.name, scores.name, name, *cells, out]))
    return Table("Where the codes lie", columns, rows)


def _others(results: Sequence[Expressiveness]) -> Iterator[tuple[Expressiveness, SetScores]]:
    for result in results:
        for scores in result.sets:
            yield result, scores


def _known(table: Table) -> Table:
    """The same without columns that no row has a figure in."""
    empty = [
        column.title
        for number, column in enumerate(table.columns)
        if all(row.cells[number] is None for row in table.rows)
    ]
    return table.without(*empty)


def _measure(figures: Mapping[str, Estimate], name: str) -> Measure | None:
    found = figures.get(name)
    return None if found is None else Measure.of(found)


def _ratio(figures: Mapping[str, Estimate], name: str) -> Cell:
    found = figures.get(name)
    return None if found is None else ratio_measure(found)
