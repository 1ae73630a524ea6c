"""The tables of a dropping: the variables by their gain, and what the images lost."""

from __future__ import annotations

import numpy as np

from latentmap.diagnostics.dropping import Dropping
from latentmap.intervals import Estimate
from latentmap.report import Column, Measure, Row, Table
from latentmap.report.words import images_in_words, intervals_in_words


def dropping_tables(found: Dropping) -> list[Table]:
    """The variables by their gain, and the errors before and after."""
    return [_variables_table(found), _errors_table(found)]


def _variables_table(found: Dropping) -> Table:
    columns = [
        Column("variable"),
        Column("gain", "what an image loses without it, in mse", decimals=6),
        Column("Var mean", "variance of the posterior means", decimals=4),
        Column("", "whether the model keeps it"),
    ]
    rows = [
        Row(
            [
                int(i),
                Measure.of(found.gains[i]),
                float(found.variance[i]),
                "kept" if found.kept[i] else "dropped",
            ]
        )
        for i in np.argsort([-gain.value for gain in found.gains], kind="stable")
    ]
    intervals = intervals_in_words(min(found.n_units, found.gain_images))
    return Table(
        f"{found.kept.sum()} of {len(found.kept)} variables are kept",
        columns,
        rows,
        f"Gains of {found.gain_images:,} images, {intervals}.",
    )


def _errors_table(found: Dropping) -> Table:
    columns = [
        Column(""),
        Column("mse", "mean squared error per pixel", decimals=6),
        Column("error", "squared errors summed over an image", decimals=3),
    ]
    rows = [
        Row([words, Measure.of(mse), Measure.of(Estimate(*(found.pixels * x for x in mse)))])
        for words, mse in (
            ("before", found.before),
            ("after", found.after),
            ("after - before", found.rise),
        )
    ]
    note = (
        f"Of {images_in_words(found.n, found.n_units)}; mse per pixel, error summed over the "
        f"{found.pixels:,} values of an image"
    )
    if found.limit is not None:
        note += f"; the limit was {found.limit:.6g}, {found.limit * found.pixels:.4g} an image"
    return Table("Reconstructions", columns, rows, f"{note}.")
