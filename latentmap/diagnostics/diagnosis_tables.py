"""The tables of diagnoses: the variables of one model, and several models beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from latentmap.diagnostics.activity import DEFINITIONS
from latentmap.diagnostics.variables import Diagnosis
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import intervals_in_words

_NAMED = 3  # Of the variables that matter most,
_LISTED = 12  # and of those that are inactive.
_FIGURES = {
    "mean_variance": Column("Var mean", "variance of the posterior means", decimals=4),
    "posterior_variance": Column("mean s2", "mean of the posterior variances", decimals=4),
    "law_sum": Column("sum", "of both; 1 by the law of variance", decimals=4),
    "kl": Column("KL", "divergence from the prior", decimals=4),
    "gain": Column("gain", "what an image loses without it, in mse", decimals=6),
}
_SHAPES = {
    "mean": Column("mean", "of the posterior means", decimals=3),
    "skewness": Column("skewness", "of the posterior means", decimals=2),
    "excess_kurtosis": Column("kurtosis", "of the posterior means: excess", decimals=2),
}


def diagnosis_tables(found: Diagnosis) -> list[Table]:
    """The tables of one model."""
    return [variables_table(found), activity_table(found), whole_table(found)]


def variables_table(found: Diagnosis) -> Table:
    """The variables by their numbers, with all intervals."""
    rows = [
        Row(
            [
                number,
                *(Measure.of(getattr(one, name)) for name in _FIGURES),
                *(getattr(one, name) for name in _SHAPES),
            ]
        )
        for number, one in enumerate(found.variables)
    ]
    note = (
        f"Gains are measured on {found.worth.gain_images:,} random images; kurtosis is excess "
        "kurtosis, 0 of a normal distribution."
    )
    columns = [Column("variable"), *_FIGURES.values(), *_SHAPES.values()]
    return Table("Variables", columns, rows, note)


def activity_table(found: Diagnosis) -> Table:
    """How many variables are active by each definition."""
    columns = [
        Column("definition"),
        Column("active", f"of {len(found.variables)} variables"),
        Column("undecided", "the threshold lies in the interval of so many"),
        Column("by", "who goes by it"),
    ]
    rows = [
        Row([one.name, found.active_by(one), found.undecided_by(one), one.source])
        for one in DEFINITIONS
    ]
    note = "Undecided are those whose 95 % interval holds the threshold."
    return Table("Active variables", columns, rows, note)


def whole_table(found: Diagnosis) -> Table:
    """The figures of the model as a whole."""
    d, deviation = len(found.variables), found.law_deviation
    excess = "2 Cov(residual, reconstruction) - squared mean residual; 0 of a conditional mean"
    of_codes = "of codes drawn from the posteriors" if found.sampled else "of their means"
    cells: dict[str | Column, Cell] = {
        "images": found.n,
        "groups": found.n_units if found.n_units < found.n else None,
        "active variables": f"{found.active} of {d}",
        Column("|mean s2 + Var - 1|", decimals=4): float(deviation.mean()),
        Column("largest of these", decimals=4): float(deviation.max()),
        Column("mse", of_codes, decimals=5): Measure.of(found.mse),
        Column("variance loss", decimals=5): Measure.of(found.variance_loss),
        Column("loss / mse", decimals=3): Measure.of(found.loss_ratio),
        Column("loss - mse", excess, decimals=5): Measure.of(found.loss_excess),
        Column("squared mean residual", decimals=6): found.squared_residual,
        Column("KL", decimals=3): Measure.of(found.kl),
        **_without_inactive(found),
    }
    note = f"{intervals_in_words(found.n_units)}.".capitalize()
    return Table.of_one("All variables", cells, f"{note}\n{in_words(found)}")


def in_words(found: Diagnosis) -> str:
    """Whether variables are inactive, and which ones the images lose most without."""
    d = len(found.variables)
    inactive = [number for number, one in enumerate(found.variables) if not one.active]
    if not inactive:
        said = f"None of the {d} variables is inactive"
    else:
        verb = "is" if len(inactive) == 1 else "are"
        said = f"{len(inactive)} of {d} variables {verb} inactive ({_listed(inactive)})"
    strongest = sorted(range(d), key=lambda number: -found.variables[number].gain.value)
    leading = [one for one in strongest if found.variables[one].gain.low > 0][:_NAMED]
    if leading:
        said += f"; the images lose most without {_listed(leading)}"
    return f"{said}."


def _listed(numbers: Sequence[int]) -> str:
    more = ", ..." if len(numbers) > _LISTED else ""
    return ", ".join(map(str, numbers[:_LISTED])) + more


def _without_inactive(found: Diagnosis) -> Mapping[str | Column, Cell]:
    """What the inactive variables are worth; nothing where there are none."""
    inactive = len(found.variables) - found.active
    if not inactive:
        return {}
    worth = found.worth
    meaning = f"mse of {worth.n:,} images, with {inactive} at their mean"
    return {
        Column("without inactive", meaning, decimals=5): Measure.of(worth.mse_without),
        Column("with all", "mse of the same images", decimals=5): Measure.of(worth.mse),
        Column("relative change", decimals=5): Measure.of(worth.change),
    }
