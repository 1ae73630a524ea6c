"""The similarity indexes as heat maps, and the models in a plane by one of them."""

from __future__ import annotations

import numpy as np

from latentmap.comparison.layout import lay_out
from latentmap.comparison.nearer import letters_of
from latentmap.comparison.result import ModelComparison
from latentmap.comparison.similarity import SimilarityMatrix
from latentmap.intervals import Estimate
from latentmap.report import with_interval
from latentmap.report.parts import HeatCell, HeatMap, Plane
from latentmap.report.words import in_percent, pair_id

_LETTERS = (
    " In a row, models that share a letter are not told apart by how near they are to that of the "
    "row; a is of the nearest."
)


def calibrated_maps(result: ModelComparison) -> list[HeatMap]:
    """A heat map of the calibrated values of each index, with the letters of what is told apart."""
    return [
        _heat_map(result, name, matrix) for name, matrix in result.similarities.matrices.items()
    ]


def calibrated_plane(result: ModelComparison) -> Plane:
    """The models in a plane, by what is left of calibrated CKA to equal spaces."""
    found = result.similarities.matrices["cka"].calibrated
    layout = lay_out(found)
    names = [model.label for model in result.models]
    between = [
        f"{names[i]} and {names[j]} {layout.distances[i, j]:.2f}"
        for i in range(len(names))
        for j in range(i)
    ]
    return Plane(
        "Models by calibrated CKA",
        names,
        layout.positions.tolist(),
        f"Models as points in a plane. Distances: {', '.join(between)}.",
        "The same by sqrt(1 - CKA), calibrated: 1 where two spaces are no more alike than random "
        f"pairings. The plane shows {in_percent(layout.explained)} of the squared distances.",
    )


def _heat_map(result: ModelComparison, name: str, matrix: SimilarityMatrix) -> HeatMap:
    names = [model.label for model in result.models]
    found = result.similarities
    title = f"Calibrated {matrix.index.title}"
    cells: list[list[HeatCell | None]] = [[None] * len(names) for _ in names]
    for i, row in enumerate(cells):
        letters = letters_of(found.nearer.get(name, ()), i, found.alpha)
        for j in range(len(names)):
            if i != j:
                row[j] = _cell(matrix, i, j, f"{names[i]} and {names[j]}", letters.get(j, ""))
    note = "0: no more alike than random pairings; 1: equal spaces."
    return HeatMap(title, names, cells, note + (_LETTERS if found.nearer.get(name) else ""))


def _cell(matrix: SimilarityMatrix, i: int, j: int, between: str, mark: str) -> HeatCell:
    parts = (matrix.calibrated, matrix.calibrated_low, matrix.calibrated_high)
    estimate = Estimate(*(float(one[i, j]) for one in parts))
    known = bool(np.isfinite(estimate.value))
    said = with_interval(estimate, 3) if known else "not defined"
    meaning = f"{between}: calibrated {matrix.index.title} {said}"
    if not known:
        return HeatCell(None, meaning, pair_id(i, j))
    meaning += f", {with_interval(_raw(matrix, i, j), 3)} as it is"
    return HeatCell(estimate.value, meaning, pair_id(i, j), mark)


def _raw(matrix: SimilarityMatrix, i: int, j: int) -> Estimate:
    return Estimate(*(float(one[i, j]) for one in (matrix.value, matrix.low, matrix.high)))
