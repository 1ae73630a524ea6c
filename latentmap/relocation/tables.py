"""The tables of maps between two models: the scores of one, and of all methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from latentmap.relocation.activity import inactive_in_words
from latentmap.relocation.beside import Beside
from latentmap.relocation.gains import Gain
from latentmap.relocation.scored_figures import FIGURES, HIGH_FLOOR, Figures, is_high
from latentmap.relocation.scores import Scores
from latentmap.relocation.several_maps import MethodComparison
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import images_in_words, intervals_in_words

if TYPE_CHECKING:
    from latentmap.relocation.part_fits import PartScores

# Of every figure, wherever it is shown.
COLUMNS = {
    "r_mse": Column("R_mse", "source reconstruction", decimals=5),
    "l_mse": Column("L_mse", "mapped code against target code", "low", 4),
    "r2": Column("R2", "share of the target codes' variance that is predicted", "high", 3),
    "r2_cells": Column("R2 of cells", "the same about the mean of each channel", "high", 3),
    "m_mse": Column("M_mse", "relocated image", "low", 5),
    "floor_mse": Column("floor", "floor of M_mse: target reconstruction", decimals=5),
    "baseline_mse": Column("baseline", "baseline of M_mse: the mean image", decimals=5),
    "efficiency": Column("efficiency", "(baseline - M_mse) / (baseline - floor)", "high", 3),
}
LINEARITY = Column("linearity", "R2 over that of a nonlinear map of the same codes", "high", 3)
PSNR = Column("PSNR", "of pixels, in decibels", "high", 1)
OF_SEVERAL = ("r2", "l_mse", "m_mse", "efficiency")
# What is not there without a decoder: of the source, of the target.
_OF_SOURCE = ("r_mse",)
OF_TARGET = ("m_mse", "floor_mse", "baseline_mse", "efficiency")


def figures_there(figures: Figures, names: Sequence[str]) -> list[str]:
    """Those of the ``names`` of figures that there is a decoder for, and that are of such codes."""
    absent = [] if math.isfinite(figures.r_mse.value) else [*_OF_SOURCE]
    absent += [] if math.isfinite(figures.m_mse.value) else OF_TARGET
    absent += [] if math.isfinite(figures.r2_cells.value) else ["r2_cells"]
    return [name for name in names if name not in absent]


def figure_of(figures: Figures, name: str) -> Measure:
    """A figure as it stands in a table: an efficiency never without what is to be minded of it."""
    doubt = HIGH_FLOOR if name == "efficiency" and figures.has_high_floor else ""
    return Measure.of(getattr(figures, name), doubt)


def gain_measure(gain: Gain) -> Measure:
    """A gain in R2 with its p-value, where there is one."""
    known = math.isfinite(gain.p_value)
    return Measure.of(gain.r2, f"p {gain.p_value:.2g}" if known else "")


def silence_in_words(names: Sequence[str]) -> str:
    """What is to be said of models without a decoder, by their names; empty where there is none."""
    if not names:
        return ""
    verb = "has" if len(names) == 1 else "have"
    return f"{' and '.join(names)} {verb} no decoder, and so no errors of images"


def part_scores_table(scores: PartScores) -> Table:
    """The errors of the codes of all images, however many."""
    name = "r2_cells" if scores.of_cells else "r2"
    cells: dict[str | Column, Cell] = {
        COLUMNS[name]: Measure.of(scores.r2),
        COLUMNS["l_mse"]: Measure.of(scores.l_mse),
    }
    if math.isfinite(scores.psnr.value):
        cells[PSNR] = Measure.of(scores.psnr)
    note = f"95 % intervals over {scores.n_parts} runs of the {scores.n_test:,} images"
    return Table.of_one("Scores", cells, note)


def scores_table(scores: Scores) -> Table:
    """The figures of a map, floor and baseline under the error that they bound; of images only
    those that there is a decoder for.
    """
    there = figures_there(scores, FIGURES)
    cells: dict[str | Column, Cell] = {}
    for name in there:
        cells[COLUMNS[name]] = figure_of(scores, name)
        if name == "l_mse" and math.isfinite(scores.psnr.value):
            cells[PSNR] = Measure.of(scores.psnr)
    gain, ceiling = scores.gain, scores.ceiling
    if gain is not None:
        of = f"R2 beyond that of the best baseline ({gain.best})"
        cells[Column("gain", of, "high", 3)] = gain_measure(gain)
        if math.isfinite(gain.efficiency.value):
            cells[_over_best(gain.best_by_images)] = Measure.of(gain.efficiency)
    if ceiling is not None:
        cells[LINEARITY] = Measure.of(ceiling.linearity.r2)
    note = (
        f"fitted on {scores.n_pairs:,} pairs, scored on "
        f"{images_in_words(scores.n_test, scores.n_units)}; {intervals_in_words(scores.n_units)}"
    )
    return Table.of_one("Scores", cells, "\n".join([_noted(note, scores.record), *scores.verdicts]))


def beside_table(scores: Scores) -> Table:
    """A map between what is easy and what is possible: the mean image and other baselines above it,
    a nonlinear map and the target's own network below. No row where nothing stands beside it.
    """
    return _beside(scores, "this map", "Beside it")


def beside_methods(compared: MethodComparison) -> list[Table]:
    """The method with the highest R2 between the same; no table where nothing stands beside it."""
    best = max(compared.results, key=lambda one: one.scores.r2.value)
    table = _beside(best.scores, best.linear_map.method, "Beside the best of them")
    return [table] if table.rows else []


def _beside(scores: Scores, name: str, title: str) -> Table:
    ceiling = None if scores.ceiling is None else scores.ceiling.beside
    others = [*scores.baselines, *(one for one in (ceiling, scores.network) if one is not None)]
    there = figures_there(scores, OF_SEVERAL)
    rows = [_beside_row(one, there, scores) for one in others]
    if rows:
        rows.insert(len(scores.baselines), Row([name, None, *_measures(scores, there)]))
    heads = [Column("codes", "that are read"), Column("numbers", "in a code")]
    # Of all rows, which have one floor.
    note = f"efficiency says little: {HIGH_FLOOR}" * scores.has_high_floor
    return Table(title, [*heads, *(COLUMNS[name] for name in there)], rows, note)


def _beside_row(one: Beside, there: Sequence[str], scores: Scores) -> Row:
    said = {
        "network": f"{one.model}'s own network",
        "ceiling": f"nonlinear ({scores.ceiling.by if scores.ceiling else ''})",
    }
    return Row([said.get(one.kind, one.model), one.numbers, *_measures(one.figures, there)])


def _measures(figures: Figures, there: Sequence[str]) -> list[Measure]:
    return [Measure.of(getattr(figures, name)) for name in there]


def _over_best(name: str) -> Column:
    of = f"the same with the error of {name} as baseline, the least of all"
    return Column("eff. over best", of, "high", 3)


def _noted(note: str, record: Mapping[str, Any]) -> str:
    """A note, and below it what is to be said of the models."""
    inactive = inactive_in_words(record["inactive"])
    return "\n".join(filter(None, [note, inactive, silence_in_words(record["without_decoder"])]))


def bounds_in_words(floor: float, baseline: float) -> str:
    """Between what the error of relocated images lies, and what is to be minded of it; nothing
    where there is none.
    """
    if not math.isfinite(floor):
        return ""
    said = f"; M_mse: floor {floor:.4g}, baseline {baseline:.4g}"
    return said + f"; efficiency says little: {HIGH_FLOOR}" * is_high(floor, baseline)


def methods_table(compared: MethodComparison) -> Table:
    """One line a method."""
    first = compared.results[0]
    scores = first.scores
    there = figures_there(scores, OF_SEVERAL)
    columns = [
        Column("method"),
        *(COLUMNS[name] for name in there),
        Column("rank"),
        Column("condition", "largest singular value over the smallest"),
        Column("seconds", "to fit, selection included", decimals=2),
        Column("settings"),
    ]
    rows = [
        Row(
            [
                one.linear_map.method,
                *(figure_of(one.scores, name) for name in there),
                one.linear_map.rank,
                one.linear_map.condition,
                one.seconds,
                one.linear_map.chosen,
            ]
        )
        for one in compared.results
    ]
    note = (
        f"{first.linear_map.source.model} to {first.linear_map.target.model}: fitted on "
        f"{scores.n_pairs:,} pairs, scored on {images_in_words(scores.n_test, scores.n_units)}"
        f"{bounds_in_words(scores.floor_mse.value, scores.baseline_mse.value)}"
    )
    said = filter(None, [note, silence_in_words(scores.record["without_decoder"])])
    return Table("Methods", columns, rows, "\n".join(said))
