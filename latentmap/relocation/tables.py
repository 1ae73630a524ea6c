"""The tables of maps between two models: the scores of one, of all methods, and of a curve."""

from __future__ import annotations

from latentmap.relocation.activity import inactive_in_words
from latentmap.relocation.scores import FIGURES, Scores
from latentmap.relocation.several_maps import LearningCurve, MethodComparison
from latentmap.report import Column, Measure, Row, Table
from latentmap.report.words import images_in_words, intervals_in_words

# Of every figure, wherever it is shown.
COLUMNS = {
    "r_mse": Column("R_mse", "source reconstruction", decimals=5),
    "l_mse": Column("L_mse", "mapped code against target code", "low", 4),
    "r2": Column("R2", "share of the target codes' variance that is predicted", "high", 3),
    "m_mse": Column("M_mse", "relocated image", "low", 5),
    "floor_mse": Column("floor", "floor of M_mse: target reconstruction", decimals=5),
    "baseline_mse": Column("baseline", "baseline of M_mse: the mean image", decimals=5),
    "efficiency": Column("efficiency", "(baseline - M_mse) / (baseline - floor)", "high", 3),
}
_OF_SEVERAL = ("r2", "l_mse", "m_mse", "efficiency")


def scores_table(scores: Scores) -> Table:
    """The figures of a map, floor and baseline under the error that they bound."""
    cells = {COLUMNS[name]: Measure.of(getattr(scores, name)) for name in FIGURES}
    note = (
        f"fitted on {scores.n_pairs:,} pairs, scored on "
        f"{images_in_words(scores.n_test, scores.n_units)}; {intervals_in_words(scores.n_units)}"
    )
    inactive = inactive_in_words(scores.record["inactive"])
    return Table.of_one("Scores", cells, "\n".join(filter(None, [note, inactive])))


def methods_table(compared: MethodComparison) -> Table:
    """One line a method."""
    columns = [
        Column("method"),
        *(COLUMNS[name] for name in _OF_SEVERAL),
        Column("rank"),
        Column("condition", "largest singular value over the smallest"),
        Column("seconds", "to fit, selection included", decimals=2),
        Column("settings"),
    ]
    rows = [
        Row(
            [
                one.linear_map.method,
                *(Measure.of(getattr(one.scores, name)) for name in _OF_SEVERAL),
                one.linear_map.rank,
                one.linear_map.condition,
                one.seconds,
                one.linear_map.chosen,
            ]
        )
        for one in compared.results
    ]
    first = compared.results[0]
    scores = first.scores
    note = (
        f"{first.linear_map.source.model} to {first.linear_map.target.model}: fitted on "
        f"{scores.n_pairs:,} pairs, scored on {images_in_words(scores.n_test, scores.n_units)}; "
        f"M_mse: floor {scores.floor_mse.value:.4g}, baseline {scores.baseline_mse.value:.4g}"
    )
    return Table("Methods", columns, rows, note)


def curve_table(curve: LearningCurve) -> Table:
    """One line a number of pairs."""
    grouped = any(point.n_units < point.n_pairs for point in curve.points)
    columns = [
        Column("pairs"),
        *[Column("groups", "that the pairs are of, copies being one")] * grouped,
        Column("draws"),
        *(COLUMNS[name] for name in _OF_SEVERAL),
    ]
    rows = [
        Row(
            [
                point.n_pairs,
                *[point.n_units] * grouped,
                point.draws,
                *(Measure.of(point.figures[name]) for name in _OF_SEVERAL),
            ]
        )
        for point in curve.points
    ]
    note = (
        f"{curve.method}, scored on {images_in_words(curve.n_test, curve.n_units)}; M_mse: floor "
        f"{curve.floor_mse:.4g}, baseline {curve.baseline_mse:.4g}; ranges hold 95 % of the draws"
    )
    return Table("Scores by number of pairs", columns, rows, note)
