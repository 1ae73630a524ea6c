"""The multi-task lasso from products, by Newton steps in one number for each source variable.

``min tr(W'QW) / 2 - tr(C'W) + a sum_i |W_i|``, with ``W_i`` the row of a variable. Since ``|W_i|``
is the least of ``(|W_i|^2 / s + s) / 2`` over ``s > 0`` (Bach, Jenatton, Mairal and Obozinski 2012,
section 5.1), the weight is ``W_i = s_i R_i / a`` with the residuals ``R = C - Q W``, and the ``s``
are the least of a convex function, smooth down to ``s = 0``. Its gradient is ``(a - |R_i|^2 / a) /
2`` and its Hessian ``M * RR' / a^2``, entry by entry, with ``M = (Q^-1 + diag(s) / a)^-1``. Unlike
descent along coordinates that takes few steps whatever the condition of ``Q``, and nothing in it
but ``R`` itself grows with the number of targets.

Shapes: ``p`` source variables, ``q`` target variables, ``k`` of the source variables at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_STEPS = 200
_ROUNDS = 50  # Of letting variables in that were thought to be unused.
_CONVERGED = 1e-9  # Of the lengths of residuals, relative to the penalty.
_UNSURE = 1e-14  # Share of the largest product that is rounding in a residual.
_HALVINGS = 40
_LOWERED = 1e-4  # Share of what the slope promises by which a step has to lower the objective.
_ROUNDING = 1e-13
# Shares of the Hessian's mean eigenvalue that are added: of equal variables any may be used. The
# first that outweighs rounding, which is more the smaller the penalty is.
_RIDGES = (1e-13, 1e-10, 1e-7, 1e-4)


def group_lasso(
    products: Tensor, shared: Tensor, penalty: float, start: Tensor
) -> tuple[Tensor, Tensor] | None:
    """The weight ``(p, q)`` and the lengths ``s`` ``(p,)`` of its rows; None where they were not
    found.

    ``products`` ``(p, p)`` are ``Q`` and ``shared`` ``(p, q)`` are ``C``; ``start`` ``(p,)`` are
    the lengths of a similar problem, or zeros.
    """
    lengths, weight = start.clone(), torch.zeros_like(shared)
    if not len(lengths):  # No variable varies.
        return weight, lengths
    reach = _Problem(products, shared, penalty).reach
    known = lengths > 0
    for _ in range(_ROUNDS):
        index = known.nonzero()[:, 0]
        problem = _Problem(products[index][:, index], shared[index], penalty)
        found = _descend(problem, lengths[index])
        if found is None:
            return None
        lengths[index], weight[index] = found
        used = (lengths > 0).nonzero()[:, 0]
        rest = (~known).nonzero()[:, 0]
        residual = shared[rest] - products[rest][:, used] @ weight[used]
        wanted = rest[residual.norm(dim=1) > penalty * (1 + reach)]
        if not len(wanted):
            return weight, lengths
        known = lengths > 0
        known[wanted] = True
    return None


@dataclass(frozen=True, eq=False)
class _Point:
    """The objective at lengths ``(k,)``, the ``weight`` and the ``residual`` ``(k, q)`` there, and
    what ``M`` is made of.
    """

    value: float
    weight: Tensor
    residual: Tensor
    root: Tensor
    factor: Tensor


@dataclass(frozen=True, eq=False)
class _Problem:
    """The variables at hand: ``products`` ``(k, k)``, ``shared`` ``(k, q)``."""

    products: Tensor
    shared: Tensor
    penalty: float

    @property
    def reach(self) -> float:
        """How near to the penalty the length of a residual is, relative to it, when it is there."""
        rounding = _UNSURE * float(self.shared.abs().max()) / self.penalty
        return _CONVERGED + rounding

    def at(self, lengths: Tensor) -> _Point:
        """The least over weights: ``W = E B^-1 E C`` with ``E^2 = diag(s) / a`` and ``B = I + E Q
        E``.
        """
        root = (lengths / self.penalty).sqrt()[:, None]
        scaled = root * self.products * root.T
        scaled.diagonal().add_(1)
        factor = torch.linalg.cholesky(scaled)
        inner = torch.cholesky_solve(root * self.shared, factor)
        weight = root * inner
        residual = self.shared - self.products @ weight
        # Beside a small penalty the difference is rounding; the weight tells it then.
        residual = torch.where(root > 1, inner / root, residual)
        value = self.penalty * float(lengths.sum()) - float((self.shared * weight).sum())
        return _Point(value / 2, weight, residual, root, factor)

    def slope(self, point: _Point) -> Tensor:
        """The gradient ``(k,)``."""
        return (self.penalty - point.residual.square().sum(1) / self.penalty) / 2

    def bend(self, point: _Point) -> Tensor:
        """The Hessian ``(k, k)``."""
        inner = torch.linalg.solve_triangular(point.factor, point.root * self.products, upper=False)
        between = self.products - inner.T @ inner
        bend: Tensor = between * (point.residual @ point.residual.T) / self.penalty**2
        return bend


def _descend(problem: _Problem, lengths: Tensor) -> tuple[Tensor, Tensor] | None:
    """The best lengths and the weight of the variables at hand, by projected Newton steps
    (Bertsekas 1982).
    """
    if not len(lengths):
        return lengths, problem.shared
    point = problem.at(lengths)
    for _ in range(_STEPS):
        sizes = point.residual.norm(dim=1) / problem.penalty
        still = (lengths == 0) & (sizes <= 1 + problem.reach)
        if bool((still | ((sizes - 1).abs() <= problem.reach)).all()):
            return lengths, point.weight
        moved = _step(problem, point, lengths, sizes)
        if moved is None:
            return None
        lengths, point = moved
    return None


def _step(
    problem: _Problem, point: _Point, lengths: Tensor, sizes: Tensor
) -> tuple[Tensor, _Point] | None:
    """Lengths at which the objective is lower, and the point there."""
    slope, bend = problem.slope(point), problem.bend(point)
    # What is about to leave goes down by itself, so that it does not turn the others' step.
    alone = slope / bend.diagonal().clamp(min=1e-300)
    leaving = (slope > 0) & (lengths <= alone)
    free = ~leaving
    size = int(free.sum())
    factor = None
    if size:
        factor = _factor_of(bend[free][:, free])
        if factor is None:
            return None
    # First towards |R_i| = a by way of 1 / |R_i|, which is nearly linear in the lengths; where that
    # fails towards the least of the quadratic model.
    bold = problem.penalty * sizes.square() * (sizes - 1)
    for aim in (bold, -slope):
        step = -alone
        if factor is not None:
            step[free] = torch.cholesky_solve(aim[free][:, None], factor)[:, 0]
        share = 1.0
        for _ in range(_HALVINGS):
            moved = (lengths + share * step).clamp(min=0)
            reached = problem.at(moved)
            promised = _LOWERED * float((slope * (moved - lengths)).sum())
            if reached.value <= point.value + promised + _ROUNDING * abs(point.value):
                return moved, reached
            share /= 2
            if aim is bold and share < 0.1:
                break
    return None


def _factor_of(bend: Tensor) -> Tensor | None:
    """The Cholesky factor of a Hessian that may be singular but for rounding; None of others."""
    for share in _RIDGES:
        added = share * bend.diagonal().mean() * torch.eye(len(bend), dtype=bend.dtype)
        found = torch.linalg.cholesky_ex(bend + added)
        if not found.info:
            factor: Tensor = found.L
            return factor
    return None
