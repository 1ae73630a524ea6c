"""The tables of what stands beside the maps of a comparison: baselines, ceilings, and twins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

from latentmap.comparison.result import ModelComparison, ModelPair
from latentmap.comparison.sameness_table import sameness_in_words
from latentmap.relocation.baselines import BASELINES
from latentmap.relocation.scored_figures import HIGH_FLOOR
from latentmap.relocation.tables import COLUMNS, LINEARITY, figure_of, gain_measure
from latentmap.relocation.verdicts import ENOUGH, is_enough, tells_more
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import in_percent, pair_id

_FROM_TO = (Column("from"), Column("to"))
_GAIN = Column("gain", "R2 beyond that of the best baseline, its p-value beside it", "high", 3)
_OVER_BEST = Column(
    "eff. over best", "with the best baseline in place of the mean image", "high", 3
)


def context_tables(result: ModelComparison) -> list[Table]:
    """What retrainings of one recipe reach, and every map between baselines and ceilings, each
    where there are some.
    """
    return [table for table in (twins_table(result), context_table(result)) if table.rows]


def context_table(result: ModelComparison) -> Table:
    """Every map between what is easy and what is possible. No row where nothing stands beside."""
    pairs = result.pairs
    known = [pair for pair in pairs.values() if pair.context.baselines or pair.context.ceiling]
    kinds = [kind for kind in BASELINES if any(_beside(kind, "r2", pair) for pair in known)]
    shown = any(math.isfinite(pair.figures.efficiency.value) for pair in known)
    columns: list[tuple[Column, Callable[[ModelPair], Cell]]] = [
        (COLUMNS["r2"], lambda pair: Measure.of(pair.figures.r2))
    ]
    for name, title in (("r2", "R2"), ("efficiency", "eff."))[: 1 + shown]:
        for kind in kinds:
            head = replace(
                COLUMNS[name],
                title=f"{title} of {kind}",
                meaning=f"of a map that reads {_OF[kind]}",
            )
            columns.append((head, _reading(kind, name)))
    if kinds:
        columns += [(_GAIN, _gain), *[(_OVER_BEST, _over_best)] * shown]
    if any(pair.context.ceiling for pair in known):
        columns += [
            (Column("R2 ceiling", "of the best map, linear or not", "high", 3), _ceiling("r2")),
            (LINEARITY, _linearity),
        ]
        head = Column("eff. ceiling", "efficiency of the best map, linear or not", "high", 3)
        columns += [(head, _ceiling("efficiency"))] * shown
    rows = []
    for (i, j), pair in pairs.items():
        if pair in known:
            cells = [cell(pair) for _, cell in columns]
            names = (result.models[i].label, result.models[j].label)
            rows.append(Row([*names, *cells], pair_id(i, j)))
    heads = [*_FROM_TO, *(column for column, _ in columns)]
    said = [*_doubts(result, shown), *conclusions(result)]
    return Table("Between baselines and ceilings", heads, rows, "\n".join(said))


def _doubts(result: ModelComparison, shown: bool) -> list[str]:
    """Of which ways the efficiencies say little, where some are shown."""
    high = [
        f"{result.models[i].label} to {result.models[j].label}"
        for (i, j), pair in result.pairs.items()
        if pair.figures.has_high_floor
    ]
    if not shown or not high:
        return []
    of = "all ways" if len(high) == len(result.pairs) else ", ".join(high)
    return [f"every eff. says little of {of}: {HIGH_FLOOR}"]


_OF = {
    "pixels": "the image shrunk to as many numbers as the source's codes",
    "pca": "as many principal components of the images",
    "untrained": "codes of the source's network before any training",
}


def conclusions(result: ModelComparison) -> list[str]:
    """Which spaces are the same; for which pairs a linear map is enough, and which sources tell
    more than any baseline, by the rules of ``latentmap.relocation.verdicts``.
    """
    enough: list[str] = []
    not_enough: list[str] = []
    unknown: list[str] = []
    more: list[str] = []
    no_more: list[str] = []
    for (i, j), pair in result.pairs.items():
        name = f"{result.models[i].label} to {result.models[j].label}"
        ceiling, gain = pair.context.ceiling, pair.context.gain
        if ceiling is not None:
            told = is_enough(ceiling)
            (unknown if told is None else enough if told else not_enough).append(name)
        if gain is not None and math.isfinite(gain.r2.value):
            (more if tells_more(gain) else no_more).append(name)
    said = {
        f"a linear map is enough (at least {in_percent(ENOUGH)} of a nonlinear map's R2)": enough,
        "a linear map is not enough": not_enough,
        "whether it is cannot be told": unknown,
        "the source tells more of the target than every baseline": more,
        "the source is not seen to tell more than a baseline does": no_more,
    }
    of_maps = [f"{what}: {', '.join(names)}" for what, names in said.items() if names]
    return [*sameness_in_words(result), *of_maps]


def twins_table(result: ModelComparison) -> Table:
    """What retrainings of one recipe reach between each other: as alike as two trainings are."""
    matrices = result.similarities.matrices
    columns = [
        *(Column("between"), Column("and")),
        *(replace(COLUMNS["r2"], title=f"R2 {arrow}") for arrow in "→←"),
        *(Column(one.index.title, "", decimals=3) for one in matrices.values()),
    ]
    rows = []
    for (i, j), pair in result.pairs.items():
        if pair.twins and i < j:
            ways = (pair, result.pairs[j, i])
            indexes = [
                Measure(float(one.value[i, j]), float(one.low[i, j]), float(one.high[i, j]))
                for one in matrices.values()
            ]
            names = (result.models[i].label, result.models[j].label)
            measures = [Measure.of(way.figures.r2) for way in ways]
            rows.append(Row([*names, *measures, *indexes], pair_id(i, j)))
    note = "retrainings of one recipe: no two models can be expected to be more alike"
    return Table("As alike as two trainings", columns, rows, note)


def beyond_table(result: ModelComparison) -> Table:
    """How much more alike every two models are than the best baseline of either."""
    matrices, alpha = result.similarities.matrices, result.similarities.alpha
    columns = [Column("between"), Column("and")]
    columns += [Column(matrices[name].index.title, "", "high", 3) for name in result.beyond]
    rows = []
    for i, j in combinations(range(len(result.models)), 2):
        cells: list[Cell] = [result.models[i].label, result.models[j].label]
        for found in result.beyond.values():
            one = found[i, j]
            cells.append(Measure.of(one.gain, "" if one.p_holm <= alpha else "n.s."))
        rows.append(Row(cells, pair_id(i, j)))
    note = (
        "the index less the largest of those with a baseline in place of one of the two; distances "
        "count with the other sign; n.s.: not more alike than what any baseline shows, at the "
        f"level {alpha:g} corrected for all pairs (Holm)"
    )
    return Table("Indexes beyond baselines", columns, rows if result.beyond else [], note)


def _beside(kind: str, name: str, pair: ModelPair) -> Measure | None:
    for one in pair.context.baselines:
        if one.kind == kind:
            return figure_of(one.figures, name)
    return None


def _reading(kind: str, name: str) -> Callable[[ModelPair], Cell]:
    return lambda pair: _beside(kind, name, pair)


def _gain(pair: ModelPair) -> Cell:
    gain = pair.context.gain
    return None if gain is None else gain_measure(gain)


def _over_best(pair: ModelPair) -> Cell:
    gain = pair.context.gain
    return None if gain is None else Measure.of(gain.efficiency)


def _ceiling(name: str) -> Callable[[ModelPair], Cell]:
    def cell(pair: ModelPair) -> Cell:
        ceiling = pair.context.ceiling
        return None if ceiling is None else figure_of(ceiling.over(pair.figures), name)

    return cell


def _linearity(pair: ModelPair) -> Cell:
    ceiling = pair.context.ceiling
    return None if ceiling is None else Measure.of(ceiling.linearity.r2)
