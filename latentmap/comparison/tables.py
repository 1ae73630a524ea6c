"""The tables of a comparison."""

from __future__ import annotations

import math
import statistics
from itertools import chain

from latentmap.comparison.context_tables import (
    beyond_table,
    context_tables,
)
from latentmap.comparison.group_tables import group_tables
from latentmap.comparison.result import ModelComparison
from latentmap.comparison.sameness_table import sameness_table
from latentmap.comparison.similarity_tables import (
    calibrated_table,
    indexes_table,
    nearer_table,
    similarities_table,
)
from latentmap.relocation.activity import inactive_in_words
from latentmap.relocation.tables import COLUMNS, figure_of, figures_there, silence_in_words
from latentmap.report import Column, Measure, Row, Table, with_interval
from latentmap.report.parts import Cell
from latentmap.report.words import images_in_words, intervals_in_words, pair_id, shown_number

_FROM_TO = (Column("from"), Column("to"))
_CYCLE = Column("cycle", "share of the variance of the codes that is lost there and back", "low", 3)
_OF_SPACE = Column(
    "of its space",
    "the fingerprint by which maps and codes know the space: of a generator with an inversion "
    "network that of the generator",
)
_SHORT = 12  # Digits of a fingerprint.


def models_table(result: ModelComparison) -> Table:
    """What each model is, and its own error."""
    columns = [
        Column("model"),
        Column("family"),
        Column("space"),
        Column("variables", "in a code"),
        Column("images", "channels, height and width of the images that it sees"),
        Column(
            "own error", "mean squared error of its reconstructions, pixels in [0, 1]", "low", 5
        ),
        Column("mean image", "error of the mean test image, which needs no code", decimals=5),
        Column("file"),
        Column("fingerprint", f"of the model, the first {_SHORT} digits; all stand at the end"),
        _OF_SPACE,
    ]
    rows = [
        Row(
            [
                model.label,
                model.family,
                model.space,
                model.latent_dim,
                " x ".join(map(str, model.image_shape)) if all(model.image_shape) else None,
                Measure.of(model.reconstruction_mse),
                Measure.of(model.baseline_mse),
                model.reference,
                model.fingerprint[:_SHORT],
                model.space_fingerprint[:_SHORT],
            ]
        )
        for model in result.models
    ]
    table = Table("Models", columns, rows)
    if all(model.space_fingerprint == model.fingerprint for model in result.models):
        table = table.without(_OF_SPACE.title)
    decode = any(math.isfinite(model.reconstruction_mse.value) for model in result.models)
    return table if decode else table.without("own error", "mean image")


def comparison_tables(result: ModelComparison) -> list[Table]:
    """All figures of the comparison, which the terminal and the page have; what follows of all of
    them stands last.
    """
    tables = [models_table(result), pairs_table(result)]
    if result.same:
        tables.append(sameness_table(result))
    tables += similarity_tables(result)
    if result.compositions:
        tables.append(ways_table(result))
    if result.methods:
        tables.append(methods_table(result))
    return [*tables, *group_tables(result), *context_tables(result)]


def similarity_tables(result: ModelComparison) -> list[Table]:
    """All of the indexes: their values, what these are beyond chance and baselines, and what they
    see.
    """
    tables = [similarities_table(result), calibrated_table(result)]
    if result.beyond:
        tables.append(beyond_table(result))
    if any(result.similarities.nearer.values()):
        tables.append(nearer_table(result))
    return [*tables, indexes_table(result)]


def pairs_table(result: ModelComparison) -> Table:
    """All figures of all maps, one line a pair, source by source; those of images where there are
    some.
    """
    figures = ["r2", "l_mse", "r_mse", "m_mse", "floor_mse", "baseline_mse", "efficiency"]
    known = [figures_there(pair.figures, figures) for pair in result.pairs.values()]
    figures = [name for name in figures if name in set(chain.from_iterable(known))]
    columns = [*_FROM_TO, Column("type"), *(COLUMNS[figure] for figure in figures), _CYCLE]
    rows = []
    for (i, j), pair in result.pairs.items():
        measures = [figure_of(pair.figures, figure) for figure in figures]
        cells = [*_names(result, i, j), pair.kind, *measures, Measure.of(pair.cycle)]
        rows.append(Row(cells, pair_id(i, j)))
    note = (
        f"fitted on {result.n_fit:,} images, judged on "
        f"{images_in_words(result.n_test, result.n_units, 'others')}; "
        + (f"images on {result.n_scored:,} of them; " if "m_mse" in figures else "")
        + intervals_in_words(result.n_units)
    )
    inactive = inactive_in_words(result.record["inactive"])
    silent = silence_in_words(result.record["without_decoder"])
    said = "\n".join(filter(None, [note, inactive, silent]))
    return Table("All ordered pairs", columns, rows, said)


def ways_table(result: ModelComparison) -> Table:
    """All ways by a third model."""
    names = [model.label for model in result.models]
    columns = [
        Column("from"),
        Column("by"),
        Column("to"),
        Column("R2", "of the codes that come by the third space", "high", 3),
        Column("direct R2", "of the codes that come by the direct map", "high", 3),
        Column("lost", "how much more R2 the direct map has", "low", 3),
    ]
    known = [way for way in result.compositions if math.isfinite(way.lost_r2.value)]
    worst_first = sorted(known, key=lambda way: -way.lost_r2.value)
    rows = [
        Row(
            [
                names[way.source],
                names[way.by],
                names[way.target],
                Measure.of(way.r2),
                Measure.of(result.pairs[way.source, way.target].figures.r2),
                Measure.of(way.lost_r2),
            ],
            pair_id(way.source, way.target),
        )
        for way in result.compositions
    ]
    note = "ways by a third model: no R2 is defined"
    if known:
        median = statistics.median(way.lost_r2.value for way in known)
        worst = worst_first[0]
        note = (
            f"a way by a third model loses {shown_number(median, 3)} of R2 in the median, "
            f"{with_interval(worst.lost_r2, 3)} at most: {names[worst.source]} to "
            f"{names[worst.target]} by {names[worst.by]}"
        )
    return Table("By way of a third", columns, rows, note)


def methods_table(result: ModelComparison) -> Table:
    """The R2 of each method for each pair."""
    others = [name for name in result.methods if name != "ridge"]
    columns = [*_FROM_TO, *(Column(name, "", "high", 3) for name in ("ridge", *others))]
    rows = []
    for (i, j), pair in result.pairs.items():
        found = {one.method: Measure.of(one.r2) for one in pair.methods}
        cells: list[Cell] = [Measure.of(pair.figures.r2), *(found.get(name) for name in others)]
        rows.append(Row([*_names(result, i, j), *cells], pair_id(i, j)))
    failures = [f"{name}: {why}" for name, why in sorted(result.failures)]
    note = "R2 of held-out codes." + (f" No map by {'; '.join(failures)}." if failures else "")
    return Table("R2 by method", columns, rows, note)


def _names(result: ModelComparison, i: int, j: int) -> tuple[str, str]:
    return result.models[i].label, result.models[j].label
