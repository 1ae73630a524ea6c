"""Sparse maps: which source variables matter at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.moments import Moments, rounding_of, spectrum_of
from latentmap.mapping.regression import solve_least_squares
from latentmap.mapping.solution import (
    NotConverged,
    Solution,
    affine,
    condition_of,
    require_penalty,
)

_TRIED = (0.0, -3.0, 13)  # Decades below the penalty that uses no variable, and their steps.
_STEPS = 1000
_CONVERGED = 1e-5  # Of scikit-learn's duality gap, relative to the squares of the target codes.


def solve_sparse(moments: Moments, *, penalty: float, l1_ratio: float = 1.0) -> Solution:
    """Multi-task lasso, or elastic net: a source variable is used for all targets or for none.

    ``min |Yc - Xs W|^2 / (2 n) + penalty (l1_ratio sum_i |W_i| + (1 - l1_ratio) |W|^2 / 2)``, with
    ``W_i`` the row of a source variable and ``Xs`` the source codes in units of their standard
    deviations. scikit-learn solves it on ``p`` rows whose products are those of all pairs.
    ``rank`` is the number of variables that are used.

    Raises:
        MapError: a penalty below zero, or a ratio that is not above 0 and at most 1.
        NotConverged: the penalty is too small.
    """
    require_penalty(penalty)
    if not 0 < l1_ratio <= 1:
        raise MapError(f"the l1 ratio must be above 0 and at most 1, not {l1_ratio:g}")
    if penalty == 0:
        return solve_least_squares(moments)
    scale = standard_deviations(moments)
    live = scale > 0
    weight = torch.zeros_like(moments.xy)
    condition = 1.0
    if bool(live.any()):
        unit = scale[live]
        products = moments.xx[live][:, live] / torch.outer(unit, unit)
        spectrum = spectrum_of(products, moments.n, moments.mean_x[live] / unit, fast=moments.fast)
        condition = condition_of(spectrum.values)
        root = (spectrum.directions * spectrum.values.sqrt()).T
        answer = (spectrum.directions / spectrum.values.sqrt()).T @ (
            moments.xy[live] / unit[:, None]
        )
        weight[live] = _solve(root, answer, moments.n, penalty, l1_ratio) / unit[:, None]
    rank = int((weight != 0).any(1).sum())
    return affine(moments, weight, rank=rank, condition=condition)


def largest_penalty(moments: Moments, *, l1_ratio: float = 1.0) -> float:
    """The smallest penalty at which no source variable is used."""
    scale = standard_deviations(moments)
    live = scale > 0
    rows = (moments.xy[live] / scale[live, None]).norm(dim=1)
    return float(rows.max()) / (moments.n * l1_ratio) if len(rows) else 1.0


def sparse_penalties(moments: Moments, settings: Mapping[str, Any]) -> list[float]:
    """What is tried for a penalty that was not given: from one that uses no variable downwards."""
    top = largest_penalty(moments, l1_ratio=settings.get("l1_ratio", 1.0))
    start, stop, steps = _TRIED
    return [float(top * 10**step) for step in np.linspace(start, stop, steps)]


def standard_deviations(moments: Moments) -> Tensor:
    """Of the source variables, ``(p,)``; zero for those that vary by rounding alone."""
    squares = moments.xx.diagonal()
    varies = squares > rounding_of(squares, moments.n, moments.mean_x)
    return torch.where(varies, (squares / moments.n).sqrt(), 0.0)


def _solve(root: Tensor, answer: Tensor, n: float, penalty: float, l1_ratio: float) -> Tensor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import MultiTaskElasticNet

    rows = len(root)
    model = MultiTaskElasticNet(
        alpha=penalty * n / rows,
        l1_ratio=l1_ratio,
        fit_intercept=False,
        max_iter=_STEPS,
        tol=_CONVERGED,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(np.asfortranarray(root.cpu()), np.asfortranarray(answer.cpu()))
        except ConvergenceWarning:
            raise NotConverged(
                f"the sparse map did not converge at the penalty {penalty:g}: give a larger one"
            ) from None
    return torch.from_numpy(model.coef_.T.copy()).to(root)
