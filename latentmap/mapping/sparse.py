"""Sparse maps: which source variables matter at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.group_lasso import group_lasso
from latentmap.mapping.moments import Moments
from latentmap.mapping.regression import solve_least_squares
from latentmap.mapping.rounding import rounding_of
from latentmap.mapping.solution import (
    NotConverged,
    Solution,
    affine,
    condition_of,
    require_penalty,
)

_TRIED = (0.0, -3.0, 13)  # Decades below the penalty that uses no variable, and their steps.


def solve_sparse(moments: Moments, *, penalty: float, l1_ratio: float = 1.0) -> Solution:
    """Multi-task lasso, or elastic net: a source variable is used for all targets or for none.

    ``min |Yc - Xs W|^2 / (2 n) + penalty (l1_ratio sum_i |W_i| + (1 - l1_ratio) |W|^2 / 2)``, with
    ``W_i`` the row of a source variable and ``Xs`` the source codes in units of their standard
    deviations; see ``group_lasso``. ``rank`` is the number of variables that are used.

    Raises:
        MapError: a penalty below zero, or a ratio that is not above 0 and at most 1.
        NotConverged: the penalty is too small.
    """
    return sparse_path(moments)(penalty=penalty, l1_ratio=l1_ratio)


def sparse_path(moments: Moments) -> Callable[..., Solution]:
    """``solve_sparse`` for one penalty after the other, each of which starts from the solution of
    the last.
    """
    scale = standard_deviations(moments)
    live = (scale > 0).nonzero()[:, 0]
    unit = scale[live]
    scaled = moments.take_source(live, unit)
    condition = condition_of(scaled.source_spectrum.values)
    products = scaled.xx / moments.n
    shared, basis = _smallest(scaled.xy / moments.n)
    lengths = torch.zeros_like(unit)

    def solve(*, penalty: float, l1_ratio: float = 1.0) -> Solution:
        nonlocal lengths
        require_penalty(penalty)
        if not 0 < l1_ratio <= 1:
            raise MapError(f"the l1 ratio must be above 0 and at most 1, not {l1_ratio:g}")
        if penalty == 0:
            return solve_least_squares(moments)
        added = penalty * (1 - l1_ratio) * torch.eye(len(unit)).to(products)
        found = group_lasso(products + added, shared, penalty * l1_ratio, lengths)
        if found is None:
            raise NotConverged(
                f"the sparse map did not converge at the penalty {penalty:g}: give a larger one"
            )
        inner, lengths = found
        weight = torch.zeros_like(moments.xy)
        weight[live] = inner @ basis / unit[:, None]
        return affine(moments, weight, rank=int((lengths > 0).sum()), condition=condition)

    return solve


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
    squares = moments.squares_x
    varies = squares > rounding_of(squares, moments.n, moments.mean_x)
    return torch.where(varies, (squares / moments.n).sqrt(), 0.0)


def _smallest(shared: Tensor) -> tuple[Tensor, Tensor]:
    """Products ``(p, k)`` and orthonormal rows ``(k, q)`` whose product is ``shared`` ``(p, q)``:
    lengths of rows need no more than ``p`` columns.
    """
    p, q = shared.shape
    if q <= p:
        return shared, torch.eye(q).to(shared)
    columns, turned = torch.linalg.qr(shared.T)
    return turned.T, columns.T
