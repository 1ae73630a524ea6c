"""A robust map: whole pairs that do not fit, such as mispaired images, lose their weight."""

from __future__ import annotations

import numpy as np
import torch

from latentmap.codes import Pairs
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.mapping.moments import Moments
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.solution import Solution, affine

_PASSES = 20
_CONVERGED = 1e-3
# Residuals beyond the median by this many standard deviations (by the median absolute deviation,
# 1.4826 of which are one) lose weight.
_LIMIT = 3 * 1.4826


def solve_robust(moments: Moments, *, pairs: Pairs, penalty: float) -> Solution:
    """Ridge by iterative reweighting, one weight a pair (Huber 1981, section 7.8).

    A pair whose residual norm ``r`` is beyond ``c``, the median plus three robust standard
    deviations, has weight ``(c / r)^2``: its influence falls with its distance. ``moments`` are
    those of the ``pairs``, all weights 1; every pass gathers weighted ones. ``figures`` say the
    share of pairs that lost more than half of their weight.
    """
    solution = solve_ridge(moments, penalty=penalty)
    weights = np.ones(len(pairs))
    # Codes are float32: smaller residuals are rounding, and tell no pair from another.
    size = float(moments.squares_y.sum() / moments.n + moments.mean_y.square().sum())
    floor = max(float(np.finfo(np.float32).eps * np.sqrt(size)), np.finfo(float).tiny)
    weighted = moments
    for _ in range(_PASSES):
        before, weights = weights, _weights(_residuals(pairs, solution), floor)
        if np.abs(weights - before).max() < _CONVERGED:
            break
        weighted = moments_of_pairs(
            pairs, weights=weights, targets="products" if moments.yy is not None else "squares"
        )
        if not moments.centred:
            weighted = weighted.about_zero()
        solution = solve_ridge(weighted, penalty=penalty)
    return affine(
        weighted,
        solution.weight,
        rank=solution.rank,
        condition=solution.condition,
        down_weighted=float((weights < 0.5).mean()),
    )


def _residuals(pairs: Pairs, solution: Solution) -> np.ndarray:
    parts = [
        (y.double() - x.double() @ solution.weight - solution.bias).norm(dim=1)
        for x, y in pairs.blocks()
    ]
    return torch.cat(parts).numpy()


def _weights(residuals: np.ndarray, floor: float) -> np.ndarray:
    middle = np.median(residuals)
    limit = max(middle + _LIMIT * np.median(np.abs(residuals - middle)), floor)
    beyond = residuals > limit
    weights = np.ones_like(residuals)
    weights[beyond] = np.square(limit / residuals[beyond])
    return weights
