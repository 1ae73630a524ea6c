"""Leaving out: how well ridge predicts pairs, or units of them, that it has not seen.

That needs no refits. With ``Xc = U S V'`` the ridge map without pair ``i`` misses it by ``e_i =
(y_i - yhat_i) / (1 - h_i)``, where the leverage ``h_i = 1/n + sum_j u_ij^2 s_j^2 / (s_j^2 +
penalty)`` has ``1/n`` as the share of the intercept. Without all pairs of a unit it misses these by
``(I - H)^-1 (Y - Yhat)``, where ``H`` holds the leverages of the unit's pairs on each other.

Shapes: ``n`` pairs, ``m`` penalties, units of ``k`` pairs, ``q`` target variables, ``r``
directions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Pairs
from latentmap.errors import MapError
from latentmap.mapping.moments import Moments
from latentmap.mapping.selection import FREE, Selection, penalty_grid
from latentmap.progress import Progress

# Rows at a time, and residuals at a time: 4 MB, which stay in the processor's cache. Several
# penalties share one product, because many small ones wait for each other's threads (measured: 7
# times slower on a busy machine).
_BLOCK = 512
_RESIDUALS = 1 << 19
# Numbers at a time of the leverages and of the residuals of units: 64 MB.
_UNIT_NUMBERS = 1 << 23
# Pairs of a unit, above which its leverages take longer than folds of units do.
LARGEST_UNIT = 256


def leave_one_out(
    pairs: Pairs,
    moments: Moments,
    *,
    units: np.ndarray | None = None,
    penalties: Tensor | None = None,
    progress: Progress | None = None,
) -> Selection:
    """The exact leave-one-out errors of ridge for a grid of penalties, in one more pass over pairs.

    ``moments`` are those of the same pairs. The result is that of fitting a map without each pair,
    or without each of the ``units`` ``(n,)``, for each penalty. A penalty so small that what is
    left out alone decides its own prediction has no such error: it counts as infinite.

    Raises:
        MapError: there are fewer than two pairs, or units.
    """
    numbers = np.arange(len(pairs)) if units is None else units
    found, place, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    if len(found) < 2:
        what = "pair" if units is None else "group"
        raise MapError(
            f"leaving one {what} out needs at least 2 {what}s, not {len(found)}: give more, or the "
            "penalty"
        )
    grid = penalty_grid(moments) if penalties is None else penalties.to(torch.float64)
    total = torch.zeros(len(grid), dtype=torch.float64)
    alone = np.flatnonzero(sizes[place] == 1)
    seen = 0
    parts = [
        _errors_alone(pairs if len(alone) == len(pairs) else pairs.take(alone), moments, grid),
        _errors_of_units(pairs, place, sizes, moments, grid),
    ]
    for part in parts:
        for rows, errors in part:
            total += errors
            seen += rows
            if progress:
                progress(seen, len(pairs))
    candidates = [{"penalty": value} for value in grid.tolist()]
    errors = total / (moments.n * len(moments.mean_y))
    return Selection("loo", candidates, errors, n_units=None if units is None else len(found))


def _errors_alone(pairs: Pairs, moments: Moments, grid: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Of blocks of pairs that are units by themselves: how many, and their squared errors ``(m,)``
    in all.
    """
    spectrum = moments.source_spectrum
    # G v = s^2 v, so (Xc v)^2 / (s^2 + penalty) is the share of a direction in a leverage.
    shrink = 1 / (spectrum.values[:, None] + grid)
    rotated = spectrum.directions.T @ moments.xy
    q = len(moments.mean_y)
    groups = torch.arange(len(grid)).split(max(1, _RESIDUALS // (_BLOCK * q)))
    maps = [(shrink[:, group, None] * rotated[:, None]).flatten(1) for group in groups]
    for x, y in pairs.blocks(_BLOCK):
        u = (x.double() - moments.mean_x) @ spectrum.directions
        residual = y.double() - moments.mean_y
        free = 1 - float(moments.centred) / moments.n - u.square() @ shrink
        missed = [
            torch.mm(u, weight).view(len(u), -1, q).sub_(residual[:, None]).square_().sum(2)
            for weight in maps
        ]
        rows = torch.cat(missed, 1) / free.square()
        yield len(x), torch.where(free > FREE, rows, torch.inf).sum(0)


def _errors_of_units(
    pairs: Pairs, place: np.ndarray, sizes: np.ndarray, moments: Moments, grid: Tensor
) -> Iterator[tuple[int, Tensor]]:
    """The same of units of several pairs, those of one size together."""
    spectrum = moments.source_spectrum
    rotated = spectrum.directions.T @ moments.xy
    order = np.argsort(place, kind="stable")
    starts = np.cumsum(sizes) - sizes
    r, q = rotated.shape
    for size in np.unique(sizes[sizes > 1]):
        step = max(1, _UNIT_NUMBERS // (int(size) * (int(size) + r + q)))
        for some in np.array_split(starts[sizes == size], -(-int((sizes == size).sum()) // step)):
            rows = order[some[:, None] + np.arange(size)]
            x, y = next(pairs.take(rows.ravel()).blocks(rows.size))
            u = ((x.double() - moments.mean_x) @ spectrum.directions).view(len(some), size, r)
            yc = (y.double() - moments.mean_y).view(len(some), size, q)
            errors = [_unit_errors(u, yc, rotated, spectrum.values, moments, p) for p in grid]
            yield rows.size, torch.stack(errors)


def _unit_errors(
    u: Tensor, yc: Tensor, rotated: Tensor, values: Tensor, moments: Moments, penalty: Tensor
) -> Tensor:
    """The squared errors of all pairs of some units for one penalty, each predicted without its
    unit; ``u`` ``(units, k, r)`` are the codes along the directions, ``yc`` ``(units, k, q)``.
    """
    shrink = 1 / (values + penalty)
    residual = yc - u @ (shrink[:, None] * rotated)
    free = torch.eye(u.shape[1], dtype=u.dtype) - float(moments.centred) / moments.n
    free = free - (u * shrink) @ u.mT
    factor, failed = torch.linalg.cholesky_ex(free)
    if bool(failed.any()) or not bool((factor.diagonal(dim1=1, dim2=2).square() > FREE).all()):
        return torch.tensor(torch.inf, dtype=torch.float64)
    return torch.cholesky_solve(residual, factor).square().sum()
