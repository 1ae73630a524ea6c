"""The table of a learning curve, and what follows from it in words."""

from __future__ import annotations

import math
from dataclasses import replace

from latentmap.relocation.curve_baselines import best_level
from latentmap.relocation.learning import GROWING, LearningCurve
from latentmap.relocation.scored_figures import HIGH_FLOOR
from latentmap.relocation.tables import (
    COLUMNS,
    OF_SEVERAL,
    OF_TARGET,
    bounds_in_words,
    silence_in_words,
)
from latentmap.report import Cell, Column, Measure, Row, Table, with_interval
from latentmap.report.words import images_in_words, intervals_in_words, shown_interval

_NAMES = {"r2": "the R2", "efficiency": "the efficiency"}
_LITTLE = f"it says little: {HIGH_FLOOR}"
_READING = "between two sizes by interpolation in 1 / pairs; in brackets 95 % over images and draws"


def curve_table(curve: LearningCurve) -> Table:
    """One line a number of pairs: R2 and efficiency with their intervals over images, and beside
    each the range of the draws; below, how many pairs are enough.
    """
    shown = math.isfinite(curve.floor_mse)
    there = [name for name in OF_SEVERAL if shown or name not in OF_TARGET]
    grouped = any(point.n_units < point.n_pairs for point in curve.points)
    rows = []
    for point in curve.points:
        cells: list[Cell] = [point.n_pairs, *[point.n_units] * grouped, point.draws]
        for name in there:
            figure = Measure.of(
                point.figures[name], HIGH_FLOOR * (name == "efficiency" and curve.has_high_floor)
            )
            cells += [figure, _range(point.over_draws[name])] if name in GROWING else [figure.value]
        rows.append(Row(cells))
    columns = [
        Column("pairs"),
        *[Column("groups", "that the pairs are of, copies being one")] * grouped,
        Column("draws"),
    ]
    for name in there:
        head = COLUMNS[name]
        if name in GROWING:
            over = f"{head.title} over draws"
            columns += [
                replace(head, title=f"{head.title} over images"),
                Column(over, "where another draw of so many pairs is with 95 %"),
            ]
        else:
            columns.append(head)
    note = (
        f"{curve.method}, scored on {images_in_words(curve.n_test, curve.n_units)}"
        f"{f' (images: {curve.n_images:,})' * shown}"
        f"{bounds_in_words(curve.floor_mse, curve.baseline_mse)}\n"
        f"over images: the mean of the draws, {intervals_in_words(curve.n_units)}; "
        "over draws: where another draw is with 95 %"
    )
    said = [note, silence_in_words(curve.record["without_decoder"]), *curve.verdicts]
    return Table("Scores by number of pairs", columns, rows, "\n".join(filter(None, said)))


def baselines_table(curve: LearningCurve) -> Table:
    """What maps of all pairs from the codes of baselines reach, one line a baseline."""
    shown = math.isfinite(curve.floor_mse)
    there = [name for name in OF_SEVERAL if shown or name not in OF_TARGET]
    columns = [
        Column("baseline"),
        Column("numbers", "of an image that it reads"),
        *(COLUMNS[name] for name in there),
    ]
    rows = [
        Row([one.model, one.numbers, *(Measure.of(one.figures[name]) for name in there)])
        for one in curve.baselines
    ]
    note = f"by {curve.method} of all {curve.baselines[0].n_pairs:,} pairs, on the same images"
    return Table("Baselines", columns, rows, note)


def level_in_words(curve: LearningCurve, name: str) -> list[str]:
    """How high the best baseline is, and from how many pairs on the map is above it; nothing
    where there is none.
    """
    best = best_level(curve.baselines, name)
    if best is None or name not in figure_titles(curve):
        return []
    level = best.figures[name]
    below = [
        place for place, one in enumerate(curve.points) if one.figures[name].value <= level.value
    ]
    above = curve.points[below[-1] + 1 :] if below else curve.points
    follows = f"is above it from {above[0].n_pairs:,} pairs on" if above else "is not above it"
    return [
        f"{_NAMES[name]} of the best baseline, {best.model}, is {with_interval(level, 3)} with all "
        f"{best.n_pairs:,} pairs: the map {follows}"
    ]


def _range(ends: tuple[float, float]) -> str | None:
    return shown_interval(*ends, 3) if math.isfinite(ends[0]) else None


def enough_in_words(curve: LearningCurve) -> list[str]:
    """How many pairs give nearly what all of a curve do, a sentence for R2 and one for efficiency,
    and how to read them, none of a single size; and how high the best baselines are.
    """
    said = [*verdict_of(curve, "r2"), *verdict_of(curve, "efficiency")]
    levels = [*level_in_words(curve, "r2"), *level_in_words(curve, "efficiency")]
    return [*said, *[_READING] * bool(said), *levels]


def verdict_of(curve: LearningCurve, name: str) -> list[str]:
    """The sentence for one of the figures; none where it is not defined."""
    if len(curve.points) < 2 or name not in curve.enough:
        return []
    said = curve.enough[name].in_words(_NAMES[name])
    return [f"{said} ({_LITTLE})" if name == "efficiency" and curve.has_high_floor else said]


def figure_titles(curve: LearningCurve) -> dict[str, str]:
    """What is drawn of a curve, by the name of the figure: what is defined at every size."""
    titles = {"r2": "R2 of the codes", "efficiency": "Efficiency of the images"}
    if curve.has_high_floor:
        titles["efficiency"] += f" ({_LITTLE})"
    return {
        name: title
        for name, title in titles.items()
        if all(math.isfinite(point.figures[name].value) for point in curve.points)
    }
