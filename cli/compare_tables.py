"""What `latentmap compare` prints."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from latentmap.cli.output import table

if TYPE_CHECKING:
    from latentmap.comparison import ModelComparison
    from latentmap.intervals import Estimate


def comparison_tables(result: ModelComparison) -> str:
    """All figures for a terminal; --json has more."""
    parts = [_pairs_table(result), _indexes_table(result)]
    if result.compositions:
        parts.append(_ways(result))
    if result.methods:
        parts.append(_methods_table(result))
    return "\n\n".join(parts)


def _pairs_table(result: ModelComparison) -> str:
    """One line a pair, source by source."""
    names = [model.label for model in result.models]
    rows = [
        (
            names[pair.source],
            names[pair.target],
            pair.kind,
            _with_interval(pair.r2),
            f"{pair.l_mse.value:.4g}",
            f"{pair.m_mse.value:.4g}",
            f"{pair.floor_mse.value:.4g}",
            f"{pair.baseline_mse.value:.4g}",
            _with_interval(pair.efficiency),
            f"{pair.cycle.value:.3f}",
        )
        for pair in result.pairs.values()
    ]
    header = ("from", "to", "type", "R2", "L_mse", "M_mse", "floor", "baseline", "efficiency")
    return (
        f"{table((*header, 'cycle'), rows)}\n"
        f"fitted on {result.n_fit} images, judged on {result.n_test} others; images on "
        f"{result.n_scored} of them"
    )


def _indexes_table(result: ModelComparison) -> str:
    """One line for each two models; an index that has a direction stands for the first of them."""
    names = [model.label for model in result.models]
    matrices = result.similarities.matrices
    rows = []
    for one in result.similarities.variates:
        i, j = one.first, one.second
        cells = []
        for matrix in matrices.values():
            value, p_value = matrix.value[i, j], matrix.p_value[i, j]
            cells.append(
                f"{value:.3f} ({matrix.low[i, j]:.3f}, {matrix.high[i, j]:.3f})"
                + ("" if p_value <= 0.05 else " n.s.")
            )
        rows.append((names[i], names[j], *cells, one.shared))
    header = ("between", "and", *(matrix.index.title for matrix in matrices.values()))
    return (
        f"{table((*header, 'shared variates'), rows)}\n"
        f"on {result.similarities.n} images; n.s.: more than 5 % of "
        f"{result.similarities.permutations} random pairings are as alike"
    )


def _ways(result: ModelComparison) -> str:
    """What a way by a third model loses: the median, and the worst."""
    names = [model.label for model in result.models]
    known = [way for way in result.compositions if math.isfinite(way.lost_r2.value)]
    if not known:
        return "ways by a third model: no R2 is defined"
    median = statistics.median(way.lost_r2.value for way in known)
    worst = max(known, key=lambda way: way.lost_r2.value)
    return (
        f"a way by a third model loses {median:.3f} of R2 in the median, "
        f"{_with_interval(worst.lost_r2)} at most: {names[worst.source]} to "
        f"{names[worst.target]} by {names[worst.by]}"
    )


def _methods_table(result: ModelComparison) -> str:
    """The R2 of each method, one line a pair."""
    names = [model.label for model in result.models]
    rows = []
    for pair in result.pairs.values():
        found = {one.method: f"{one.r2.value:.3f}" for one in pair.methods}
        cells = [found.get(name, "-") for name in result.methods]
        rows.append((names[pair.source], names[pair.target], *cells))
    return f"R2 by method\n{table(('from', 'to', *result.methods), rows)}"


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f}, {estimate.high:.3f})"
