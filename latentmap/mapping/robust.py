"""A robust map: whole pairs that do not fit, such as mispaired images, lose their weight.

A pair is judged by what a map fitted without it misses it by, since a code that is far from all
others draws the map to itself. Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables,
``m`` penalties.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from latentmap.codes import Pairs
from latentmap.mapping.deleted import deleted_residuals
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.mapping.leaving_out import leave_one_out
from latentmap.mapping.moments import Moments
from latentmap.mapping.options import Criterion
from latentmap.mapping.outlying import outlying_weights, weights_of
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.selection import Selection, generalised, penalty_grid
from latentmap.mapping.solution import Solution, require_penalty
from latentmap.progress import Progress

_PASSES = 20
_CHOICES = 10  # Of a penalty, each with the weights of the last; two to five were needed.
_CONVERGED = 1e-3
# Residuals beyond the median by more standard deviations lose weight.
_MISSED = 3.0


def solve_robust(
    moments: Moments, *, pairs: Pairs, penalty: float, units: np.ndarray | None = None
) -> Solution:
    """Ridge by iterative reweighting, one weight a pair (Huber 1981, section 7.8).

    A pair whose residual norm ``r``, by the map of the other pairs, is beyond ``c``, the median
    plus three robust standard deviations, has weight ``(c / r)^4``: its influence falls with its
    distance. A source code that is far from all others, which draws the map to itself, loses weight
    by its distance alone, and at the start so does a target code. ``moments`` are those of the
    ``pairs``, all weights 1; every pass gathers weighted ones, the last of which the solution
    keeps. ``figures`` say the share of pairs that lost more than half of their weight. Pairs of one
    of the ``units`` ``(n,)`` int64 are judged by maps without all of them.
    """
    require_penalty(penalty)
    return _Fit(moments, pairs, units).solution(penalty)


def choose_robust_penalty(
    moments: Moments,
    *,
    pairs: Pairs,
    criterion: Criterion = "loo",
    units: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Selection:
    """The leave-one-out, or generalised cross-validation, errors of robust maps.

    A pair that does not fit would decide the penalty of all others: squared errors count by the
    final weights, which are found by turns with the penalty. With ``units`` whole units are left
    out, whatever the criterion, and the selection says ``loo``.

    Raises:
        MapError: there are fewer than two pairs, or units.
    """
    fit = _Fit(moments, pairs, units)
    weights = fit.start
    grid = penalty_grid(fit.moments_by(weights))
    by_moments = criterion == "gcv" and units is None

    def choose() -> Selection:
        if by_moments:
            return generalised(fit.moments_by(weights), penalties=grid)
        return leave_one_out(
            pairs,
            fit.moments_by(weights),
            weights=weights,
            units=units,
            penalties=grid,
            progress=progress,
        )

    selection = choose()
    for _ in range(_CHOICES):
        before = selection.chosen
        weights = fit.reweighted(before["penalty"], weights)
        selection = choose()
        if selection.chosen == before:
            break
    return selection


class _Fit:
    """The maps of some pairs under any weights ``(n,)``."""

    def __init__(self, moments: Moments, pairs: Pairs, units: np.ndarray | None) -> None:
        self.moments, self.pairs, self.units = moments, pairs, units
        self.near = outlying_weights(pairs.source)
        self.start = np.minimum(self.near, outlying_weights(pairs.target))
        # Codes are float32: smaller residuals are rounding, and tell no pair from another.
        size = float(moments.squares_y.sum() / moments.n + moments.mean_y.square().sum())
        self.floor = max(float(np.finfo(np.float32).eps * np.sqrt(size)), np.finfo(float).tiny)

    def moments_by(self, weights: np.ndarray) -> Moments:
        """The weighted moments that a map is solved from."""
        gathered = moments_of_pairs(self.pairs, weights=weights, targets="squares")
        return gathered if self.moments.centred else gathered.about_zero()

    def residuals(self, weights: np.ndarray, moments: Moments, penalty: float) -> np.ndarray:
        """The norm ``(n,)`` of what the map of the other pairs misses each by."""
        grid = torch.tensor([penalty], dtype=torch.float64)
        norms = np.empty(len(self.pairs))
        for index, squares in deleted_residuals(
            self.pairs, moments, grid, weights=weights, units=self.units
        ):
            norms[index] = squares[:, 0].sqrt().numpy()
        return norms

    def reweighted(self, penalty: float, weights: np.ndarray) -> np.ndarray:
        """The weights that come to rest at a penalty."""
        for _ in range(_PASSES):
            before = weights
            norms = self.residuals(weights, self.moments_by(weights), penalty)
            weights = self.near * weights_of(norms, _MISSED, self.floor)
            if np.abs(weights - before).max() < _CONVERGED:
                break
        return weights

    def solution(self, penalty: float) -> Solution:
        """The map with a penalty, and the moments by its weights."""
        weights = self.reweighted(penalty, self.start)
        moments = moments_of_pairs(self.pairs, weights=weights)
        solution = solve_ridge(
            moments if self.moments.centred else moments.about_zero(), penalty=penalty
        )
        figures = {"down_weighted": float((weights < 0.5).mean())}
        return replace(solution, figures=figures, moments=moments)
