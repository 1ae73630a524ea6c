"""The tables of maps between two models: the scores of one, of all methods, and of a curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from latentmap.relocation.activity import inactive_in_words
from latentmap.relocation.scores import FIGURES, Figures, Scores
from latentmap.relocation.several_maps import LearningCurve, MethodComparison
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import images_in_words, intervals_in_words

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
PSNR = Column("PSNR", "of pixels, in decibels", "high", 1)
_OF_SEVERAL = ("r2", "l_mse", "m_mse", "efficiency")
# What is not there without a decoder: of the source, of the target.
_OF_SOURCE = ("r_mse",)
_OF_TARGET = ("m_mse", "floor_mse", "baseline_mse", "efficiency")


def figures_there(figures: Figures, names: Sequence[str]) -> list[str]:
    """Those of the ``names`` of figures that there is a decoder for, and that are of such codes."""
    absent = [] if math.isfinite(figures.r_mse.value) else [*_OF_SOURCE]
    absent += [] if math.isfinite(figures.m_mse.value) else _OF_TARGET
    absent += [] if math.isfinite(figures.r2_cells.value) else ["r2_cells"]
    return [name for name in names if name not in absent]


def silence_in_words(names: Sequence[str]) -> str:
    """What is to be said of models without a decoder, by their names; empty where there is none."""
    if not names:
        return ""
    verb = "has" if len(names) == 1 else "have"
    return f"{' and '.join(names)} {verb} no decoder, and so no errors of images"


def scores_table(scores: Scores) -> Table:
    """The figures of a map, floor and baseline under the error that they bound; of images only
    those that there is a decoder for.
    """
    there = figures_there(scores, FIGURES)
    cells: dict[str | Column, Cell] = {}
    for name in there:
        cells[COLUMNS[name]] = Measure.of(getattr(scores, name))
        if name == "l_mse" and math.isfinite(scores.psnr.value):
            cells[PSNR] = Measure.of(scores.psnr)
    beside = scores.thumbnail
    if beside is not None:
        for name in figures_there(scores, ("r2", "r2_cells", "efficiency")):
            of = COLUMNS[name]
            title = f"{of.title} of thumbnail"
            meaning = f"{of.title} of a map that reads {beside.thumbnail}, {beside.numbers} numbers"
            head = replace(of, title=title, meaning=meaning)
            cells[head] = Measure.of(getattr(beside.figures, name))
    note = (
        f"fitted on {scores.n_pairs:,} pairs, scored on "
        f"{images_in_words(scores.n_test, scores.n_units)}; {intervals_in_words(scores.n_units)}"
    )
    said = filter(None, [_noted(note, scores.record), pixels_in_words(scores)])
    return Table.of_one("Scores", cells, "\n".join(said))


def pixels_in_words(scores: Scores) -> str:
    """What is to be said where images rank a map and a thumbnail the other way round than codes do;
    empty where they do not.
    """
    beside = scores.thumbnail
    if beside is None or not (
        beside.figures.efficiency.value >= scores.efficiency.low
        and beside.figures.r2.high < scores.r2.low
    ):
        return ""
    return (
        "errors of images tell little here: the thumbnail does as well by them, and knows less of "
        "the target's codes; go by R2"
    )


def _noted(note: str, record: Mapping[str, Any]) -> str:
    """A note, and below it what is to be said of the models."""
    inactive = inactive_in_words(record["inactive"])
    return "\n".join(filter(None, [note, inactive, silence_in_words(record["without_decoder"])]))


def _bounds(floor: float, baseline: float) -> str:
    """Between what the error of relocated images lies; nothing where there is none."""
    if not math.isfinite(floor):
        return ""
    return f"; M_mse: floor {floor:.4g}, baseline {baseline:.4g}"


def methods_table(compared: MethodComparison) -> Table:
    """One line a method."""
    first = compared.results[0]
    scores = first.scores
    there = figures_there(scores, _OF_SEVERAL)
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
                *(Measure.of(getattr(one.scores, name)) for name in there),
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
        f"{_bounds(scores.floor_mse.value, scores.baseline_mse.value)}"
    )
    said = filter(None, [note, silence_in_words(scores.record["without_decoder"])])
    return Table("Methods", columns, rows, "\n".join(said))


def curve_table(curve: LearningCurve) -> Table:
    """One line a number of pairs."""
    shown = math.isfinite(curve.floor_mse)
    there = [name for name in _OF_SEVERAL if shown or name not in _OF_TARGET]
    grouped = any(point.n_units < point.n_pairs for point in curve.points)
    columns = [
        Column("pairs"),
        *[Column("groups", "that the pairs are of, copies being one")] * grouped,
        Column("draws"),
        *(COLUMNS[name] for name in there),
    ]
    rows = [
        Row(
            [
                point.n_pairs,
                *[point.n_units] * grouped,
                point.draws,
                *(Measure.of(point.figures[name]) for name in there),
            ]
        )
        for point in curve.points
    ]
    note = (
        f"{curve.method}, scored on {images_in_words(curve.n_test, curve.n_units)}"
        f"{_bounds(curve.floor_mse, curve.baseline_mse)}; ranges hold 95 % of the draws"
    )
    said = filter(None, [note, silence_in_words(curve.record["without_decoder"])])
    return Table("Scores by number of pairs", columns, rows, "\n".join(said))
