"""Leaving out: how well ridge predicts pairs, or units of them, that it has not seen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Pairs
from latentmap.errors import MapError
from latentmap.mapping.deleted import deleted_residuals
from latentmap.mapping.moments import Moments
from latentmap.mapping.selection import Selection, penalty_grid
from latentmap.progress import Progress

# Pairs of a unit, above which its leverages take longer than folds of units do.
LARGEST_UNIT = 256


def leave_one_out(
    pairs: Pairs,
    moments: Moments,
    *,
    weights: np.ndarray | None = None,
    units: np.ndarray | None = None,
    penalties: Tensor | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Selection:
    """The exact leave-one-out errors of ridge for a grid of penalties, in one more pass over pairs.

    ``moments`` are those of the same pairs with the same ``weights`` ``(n,)``, by default 1. The
    result is that of fitting a map without each pair, or without each of the ``units`` ``(n,)``,
    for each penalty; squared errors count by the weights. A penalty so small that what is left out
    alone decides its own prediction has no such error: it counts as infinite. Pairs
    that are left out alone are computed on ``device``.

    Raises:
        MapError: there are fewer than two pairs, or units.
    """
    count = len(pairs) if units is None else len(np.unique(units))
    if count < 2:
        what = "pair" if units is None else "group"
        raise MapError(
            f"leaving one {what} out needs at least 2 {what}s, not {count}: give more, or the "
            "penalty"
        )
    grid = penalty_grid(moments) if penalties is None else penalties.to(torch.float64)
    total = torch.zeros(len(grid), dtype=torch.float64)
    seen = 0
    for index, squares in deleted_residuals(
        pairs, moments, grid, weights=weights, units=units, device=device
    ):
        total += squares.sum(0) if weights is None else torch.from_numpy(weights[index]) @ squares
        seen += len(index)
        if progress:
            progress(seen, len(pairs))
    candidates = [{"penalty": value} for value in grid.tolist()]
    errors = total / (moments.n * moments.q)
    return Selection("loo", candidates, errors, n_units=None if units is None else count)
