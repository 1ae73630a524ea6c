"""The tables of the similarity indexes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from latentmap.comparison.calibration import enough_permutations
from latentmap.comparison.nearer import Nearer
from latentmap.comparison.result import ModelComparison
from latentmap.comparison.similarity import Similarities, SimilarityMatrix
from latentmap.intervals import Estimate
from latentmap.report import Column, Measure, Row, Table
from latentmap.report.parts import Better, Cell
from latentmap.report.words import pair_id, shown_number


def similarities_table(result: ModelComparison) -> Table:
    """All indexes for each two models; one that has a direction stands there twice."""
    found = result.similarities

    def cell(matrix: SimilarityMatrix, i: int, j: int) -> Measure:
        null, p_value = float(matrix.null_mean[i, j]), float(matrix.p_value[i, j])
        there = np.isfinite([null, p_value]).all()
        note = f"null {shown_number(null, 2)}, p {p_value:.2g}" if there else ""
        return _measure((matrix.value, matrix.low, matrix.high), i, j, note)

    columns, rows = _of_pairs(result, cell, meaning=lambda matrix: matrix.index.meaning)
    columns.append(
        Column("shared variates", "leading canonical correlations above those of random pairings")
    )
    shared = {(one.first, one.second): one.shared for one in found.variates}
    pairs = combinations(range(len(result.models)), 2)
    rows = [
        Row([*row.cells, shared[pair]], row.link) for row, pair in zip(rows, pairs, strict=True)
    ]
    n = f"{found.n:,}"
    depending = [one.index.title for one in found.matrices.values() if one.index.depends_on_n]
    note = (
        f"on {n} images, with {found.permutations:,} random pairings; "
        f"compare {' and '.join(depending)} with values on {n} images alone"
    )
    return Table("Indexes between all models", columns, rows, note)


def calibrated_table(result: ModelComparison) -> Table:
    """How far each index is above what unrelated spaces have."""
    found = result.similarities

    def cell(matrix: SimilarityMatrix, i: int, j: int) -> Cell:
        p_holm, spectra = float(matrix.p_holm[i, j]), float(matrix.spectra_p[i, j])
        note = f"p {p_holm:.2g}, spectra p {spectra:.2g}" if np.isfinite(p_holm) else ""
        parts = (matrix.calibrated, matrix.calibrated_low, matrix.calibrated_high)
        return _measure(parts, i, j, note)

    columns, rows = _of_pairs(result, cell, better="high")
    note = (
        f"0: no more alike than {100 * (1 - found.alpha):g} % of {found.permutations:,} random "
        "pairings; 1: equal spaces; p is corrected for all pairs (Holm)"
    )
    return Table("Calibrated indexes", columns, rows, "\n".join([note, *_too_few(found, result)]))


def nearer_table(result: ModelComparison) -> Table:
    """Of each model and every two others, which of them it is nearer to, by each index."""
    found = result.similarities
    names = [model.label for model in result.models]
    columns = [Column("model"), Column("nearer to"), Column("than to")]
    columns += [Column(found.matrices[name].index.title, "", "", 3) for name in found.nearer]
    rows = []
    for tests in zip(*found.nearer.values(), strict=True):
        head = [names[number] for number in (tests[0].space, tests[0].first, tests[0].second)]
        rows.append(Row([*head, *(_difference(one, found.alpha) for one in tests)]))
    note = (
        "How much more alike the model is to the first than to the second, below 0 less; distances "
        "count with the other sign. * : told apart at the level "
        f"{found.alpha:g}, corrected for all questions about one index (Holm)."
    )
    return Table("Which of two is nearer", columns, rows, note)


def indexes_table(result: ModelComparison) -> Table:
    """The range of the indexes, and which changes of a space they do not see."""
    changes = ("translation", "isotropic_scaling", "orthogonal", "invertible_linear")
    titles = ("translation", "scaling", "rotation", "linear map")
    columns = [Column("index"), Column("equal spaces"), Column("range")]
    columns += [Column(title) for title in titles]
    rows = []
    for matrix in result.similarities.matrices.values():
        index = matrix.index
        low, high = index.bounds
        seen = ["same" if index.invariances[change] else "changes" for change in changes]
        cells: list[Cell] = [
            index.title,
            f"{index.same:g}",
            f"{low:.3g} to {high:.3g}",
        ]
        rows.append(Row([*cells, *seen]))
    note = (
        "The last columns say what an index does under a change of one of the spaces: a "
        "translation, one scale for all variables, a rotation or reflection, any invertible "
        "linear map."
    )
    return Table("What the indexes see", columns, rows, note)


def _of_pairs(
    result: ModelComparison,
    cell: Callable[[SimilarityMatrix, int, int], Cell],
    *,
    better: Better = "",
    meaning: Callable[[SimilarityMatrix], str] = lambda _: "",
) -> tuple[list[Column], list[Row]]:
    """A line for each two models, with the cells of all indexes, those that have a direction in
    both.
    """
    columns = [Column("between"), Column("and")]
    directed = []
    for matrix in result.similarities.matrices.values():
        index = matrix.index
        good = better or ("high" if index.higher_is_alike else "low")
        both = not index.symmetric
        directed.append((matrix, both))
        titles = [f"{index.title} →", f"{index.title} ←"] if both else [index.title]
        said = [meaning(matrix), ""]  # Once of both directions.
        columns += [Column(title, said[i], good, 3) for i, title in enumerate(titles)]
    rows = []
    for i, j in combinations(range(len(result.models)), 2):
        cells: list[Cell] = [result.models[i].label, result.models[j].label]
        for matrix, both in directed:
            cells.append(cell(matrix, i, j))
            if both:
                cells.append(cell(matrix, j, i))
        rows.append(Row(cells, pair_id(i, j)))
    return columns, rows


def _measure(parts: Sequence[np.ndarray], i: int, j: int, note: str) -> Measure:
    return Measure.of(Estimate(*(float(one[i, j]) for one in parts)), note)


def _difference(test: Nearer, alpha: float) -> Measure:
    return Measure.of(test.difference, "*" if test.p_holm <= alpha else "")


def _too_few(found: Similarities, result: ModelComparison) -> list[str]:
    """What is to be said where no p-value can pass Holm's correction."""
    needed = enough_permutations(len(result.models), found.alpha)
    if found.permutations >= needed:
        return []
    return [
        f"of so few random pairings no p-value may pass the correction: {needed:,} can "
        "(--permutations)"
    ]
