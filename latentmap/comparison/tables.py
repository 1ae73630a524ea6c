"""The tables of a comparison."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from latentmap.comparison.result import ModelComparison
from latentmap.comparison.similarity import SimilarityMatrix
from latentmap.intervals import defined
from latentmap.report import Column, Measure, Row, Table
from latentmap.report.parts import Better, Cell
from latentmap.report.words import pair_id, shown_number

_FROM_TO = (Column("from"), Column("to"))
_SHORT = 12  # Digits of a fingerprint.


def models_table(result: ModelComparison) -> Table:
    """What each model is, and its own error."""
    columns = [
        Column("model"),
        Column("family"),
        Column("space"),
        Column("variables", "in a code"),
        Column("images", "channels, height and width of the images that it sees"),
        Column("own error", "mean squared error of its reconstructions, pixels in [0, 1]", "low"),
        Column("mean image", "error of the mean test image, which needs no code"),
        Column("file"),
        Column("fingerprint", f"the first {_SHORT} digits; all of them stand at the end"),
    ]
    rows = [
        Row(
            [
                model.label,
                model.family,
                model.space,
                model.latent_dim,
                " x ".join(map(str, model.image_shape)),
                Measure.of(model.reconstruction_mse),
                Measure.of(model.baseline_mse),
                model.reference,
                model.fingerprint[:_SHORT],
            ]
        )
        for model in result.models
    ]
    return Table("Models", columns, rows)


def pairs_table(result: ModelComparison) -> Table:
    """All figures of all maps."""
    columns = [
        *_FROM_TO,
        Column("type"),
        Column("R2", "share of the variance of the target's codes that is predicted", "high"),
        Column("L_mse", "squared error of mapped codes, mean over variables", "low"),
        Column("R_mse", "error of the source's own reconstructions"),
        Column("M_mse", "error of relocated images", "low"),
        Column("floor", "error of the target's own reconstructions"),
        Column("baseline", "error of the mean image"),
        Column("efficiency", "(baseline - M_mse) / (baseline - floor)", "high"),
    ]
    figures = ("r2", "l_mse", "r_mse", "m_mse", "floor_mse", "baseline_mse", "efficiency")
    rows = []
    for (i, j), pair in result.pairs.items():
        measures = [Measure.of(getattr(pair, figure)) for figure in figures]
        rows.append(Row([*_names(result, i, j), pair.kind, *measures], pair_id(i, j)))
    note = "Click on a head to sort. Numbers in brackets are 95 % intervals."
    return Table("All ordered pairs", columns, rows, note)


def similarities_table(result: ModelComparison) -> Table:
    """All indexes for each two models; one that has a direction stands there twice."""
    matrices = result.similarities.matrices
    columns = [Column("between"), Column("and")]
    for matrix in matrices.values():
        index = matrix.index
        better: Better = "high" if index.higher_is_alike else "low"
        titles = [index.title] if index.symmetric else [f"{index.title} →", f"{index.title} ←"]
        columns += [Column(title, better=better) for title in titles]
    columns.append(
        Column("shared variates", "leading canonical correlations above those of random pairings")
    )
    shared = {(one.first, one.second): one for one in result.similarities.variates}
    rows = []
    for i, j in combinations(range(len(result.models)), 2):
        cells: list[Cell] = [*_names(result, i, j)]
        for matrix in matrices.values():
            cells.append(_index_cell(matrix, i, j))
            if not matrix.index.symmetric:
                cells.append(_index_cell(matrix, j, i))
        cells.append(shared[i, j].shared)
        rows.append(Row(cells, pair_id(i, j)))
    note = (
        f"On {result.similarities.n:,} images, with {result.similarities.permutations} random "
        "pairings."
    )
    return Table("Indexes between all models", columns, rows, note)


def _index_cell(matrix: SimilarityMatrix, i: int, j: int) -> Measure:
    value, low, high = (
        defined(float(one[i, j])) for one in (matrix.value, matrix.low, matrix.high)
    )
    null, p_value = float(matrix.null_mean[i, j]), float(matrix.p_value[i, j])
    note = (
        f"null {shown_number(null, 2)}, p {p_value:.2g}"
        if np.isfinite([null, p_value]).all()
        else ""
    )
    return Measure(value, low, high, note)


def indexes_table(result: ModelComparison) -> Table:
    """What the indexes are, and which changes of a space they do not see."""
    changes = ("translation", "isotropic_scaling", "orthogonal", "invertible_linear")
    titles = ("translation", "scaling", "rotation", "linear map")
    columns = [Column("index"), Column("what it is"), Column("equal spaces"), Column("range")]
    columns += [Column(title) for title in titles]
    rows = []
    for matrix in result.similarities.matrices.values():
        index = matrix.index
        low, high = index.bounds
        seen = ["same" if index.invariances[change] else "changes" for change in changes]
        cells: list[Cell] = [index.title, index.meaning, f"{index.same:g}", f"{low:g} to {high:g}"]
        rows.append(Row([*cells, *seen]))
    note = (
        "The last columns say what an index does under a change of one of the spaces: a "
        "translation, one scale for all variables, a rotation or reflection, any invertible "
        "linear map."
    )
    return Table("What the indexes are", columns, rows, note)


def cycles_table(result: ModelComparison) -> Table:
    """What is lost there and back."""
    columns = [
        Column("from"),
        Column("by"),
        Column("lost", "share of the variance of the codes that does not come back", "low"),
    ]
    rows = [
        Row([*_names(result, i, j), Measure.of(pair.cycle)], pair_id(i, j))
        for (i, j), pair in result.pairs.items()
    ]
    return Table("There and back", columns, rows)


def ways_table(result: ModelComparison) -> Table:
    """All ways by a third model."""
    names = [model.label for model in result.models]
    columns = [
        Column("from"),
        Column("by"),
        Column("to"),
        Column("R2", "of the codes that come by the third space", "high"),
        Column("direct R2", "of the codes that come by the direct map", "high"),
        Column("lost", "how much more R2 the direct map has", "low"),
    ]
    rows = [
        Row(
            [
                names[way.source],
                names[way.by],
                names[way.target],
                Measure.of(way.r2),
                Measure.of(result.pairs[way.source, way.target].r2),
                Measure.of(way.lost_r2),
            ],
            pair_id(way.source, way.target),
        )
        for way in result.compositions
    ]
    return Table("By way of a third", columns, rows)


def methods_table(result: ModelComparison) -> Table:
    """The R2 of each method for each pair."""
    columns = [*_FROM_TO, Column("ridge", better="high")]
    columns += [Column(name, better="high") for name in result.methods]
    rows = []
    for (i, j), pair in result.pairs.items():
        found = {one.method: Measure.of(one.r2) for one in pair.methods}
        cells: list[Cell] = [found.get(name) for name in result.methods]
        rows.append(Row([*_names(result, i, j), Measure.of(pair.r2), *cells], pair_id(i, j)))
    failures = [f"{name}: {why}" for name, why in sorted(result.failures)]
    note = "R2 of held-out codes." + (f" No map by {'; '.join(failures)}." if failures else "")
    return Table("R2 by method", columns, rows, note)


def _names(result: ModelComparison, i: int, j: int) -> tuple[str, str]:
    return result.models[i].label, result.models[j].label
