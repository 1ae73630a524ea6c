"""The orthogonal projection of a larger space onto a smaller one that is nearest to the pairs.

``s^2 tr(W'GW) - 2 s tr(W'C)`` over ``W'W = I``, with ``s = 1`` or the best scale, has no closed
form (Elden and Park 1999), and gradient steps from one start end in local minima, worst where pairs
are fewer than variables. It is taken along the directions in which the source varies, with as many
of the others as a map can use: then ``G`` is diagonal. Gradient steps of the length of Barzilai and
Borwein (Wen and Yin 2013) start from several places; the best of a first stretch go on to the end.

Shapes: ``p`` source variables, ``q`` target variables, fewer; ``r`` rows of the reduced ``W``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.mapping.moments import Moments

# Starts at random, beside two that are made of the pairs. Of 30 problems, with fewer and with more
# pairs than variables, 20 others found nothing better in any.
_STARTS = 6
_STRETCH = 60  # Steps of every start.
_FINISHED = 2  # Starts that go on.
_STEPS = 2000
# Gradients are zero, and errors equal, relative to the terms, below this.
_CONVERGED = 1e-13
_EQUAL = 1e-14
# Of a step that has to lower the mean of earlier errors by a share (Zhang and Hager 2004).
_REMEMBERED = 0.85
_LOWERED = 1e-4
_SHORTER = 0.25
_SHORTEST = 1e-12
_NEARBY = 1e-6  # Squared condition up to which a product of a matrix with itself keeps its digits.


def nearest_projection(moments: Moments, *, scaled: bool) -> Tensor:
    """The best ``W`` ``(p, q)`` with ``W'W = I``; with ``scaled`` the best with a scale.

    What it does where no pair varies changes no error; there it is as near as it can be to a fixed
    matrix, so that the pairs alone decide the map.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(
        1 + _STARTS, moments.p, moments.q, generator=generator, dtype=moments.xy.dtype
    ).to(moments.xy.device)
    spectrum = moments.source_spectrum
    spare = _spare(spectrum.directions, drawn[0])
    fitted = spectrum.directions.T @ moments.xy / spectrum.values[:, None]
    largest = float(torch.linalg.svdvals(fitted)[0]) if len(fitted) else 0.0
    missing = moments.q - spare.shape[1]
    if scaled and missing <= 1 and largest > 0:
        inside = fitted / largest
    elif not scaled and missing <= 0 and largest <= 1:
        inside = fitted
    else:
        basis = torch.cat([spectrum.directions, spare], 1)
        inside = _searched(moments, basis, drawn[1:], scaled)[: len(fitted)]
    # The rest of every column's length is along the spare directions.
    left = torch.eye(moments.q, dtype=inside.dtype, device=inside.device) - inside.T @ inside
    values, axes = torch.linalg.eigh(left)
    count = spare.shape[1]
    beside = (axes * values.clamp(min=0).sqrt()).T[moments.q - count :]
    turned = polar((spare.T @ drawn[0]) @ beside.T) if count else beside[:, :0]
    weight: Tensor = spectrum.directions @ inside + spare @ (turned @ beside)
    return weight


def _spare(directions: Tensor, like: Tensor) -> Tensor:
    """Orthonormal directions beside some, as many as columns of a map can use, near to ``like``."""
    p, k = directions.shape
    if p - k >= like.shape[1]:
        return polar(like - directions @ (directions.T @ like))
    complete: Tensor = torch.linalg.qr(directions, mode="complete")[0]
    return complete[:, k:]


def _searched(moments: Moments, basis: Tensor, drawn: Tensor, scaled: bool) -> Tensor:
    """The best ``W`` along a basis, by gradient steps."""
    values = moments.source_spectrum.values
    spare = values.new_zeros(basis.shape[1] - len(values))
    problem = _Problem(torch.cat([values, spare])[:, None], basis.T @ moments.xy, scaled)
    fitted = torch.where(problem.values > 0, problem.mixed / problem.values, 0.0)
    found = [
        _descend(problem, problem.upright(polar(start)), steps=_STRETCH)
        for start in (problem.mixed, fitted, *(basis.T @ start for start in drawn))
    ]
    found.sort(key=lambda pair: pair[0])
    finished = [_descend(problem, start, steps=_STEPS) for _, start in found[:_FINISHED]]
    # Of equals the one that was ahead, whatever rounding says.
    first, second = finished
    return second[1] if second[0] < first[0] - _EQUAL * problem.size else first[1]


def polar(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns."""
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    nearest: Tensor = u @ vt
    return nearest


@dataclass(frozen=True, eq=False)
class _Problem:
    """``values`` ``(r, 1)``, the diagonal of ``G``, and ``mixed`` ``(r, q)``, which is ``C``."""

    values: Tensor
    mixed: Tensor
    scaled: bool

    def judged(self, weight: Tensor) -> tuple[float, Tensor]:
        """The error but for what no weight changes, and its gradient along the surface."""
        spread = self.values * weight
        shared, own = float((weight * self.mixed).sum()), float((weight * spread).sum())
        scale = 1.0
        if self.scaled:
            scale = max(shared, 0.0) / own if own > 0 else 0.0
        slope = 2 * scale * (scale * spread - self.mixed)
        inner = weight.T @ slope
        return scale**2 * own - 2 * scale * shared, slope - weight @ ((inner + inner.T) / 2)

    def upright(self, weight: Tensor) -> Tensor:
        """A start, turned round where the best scale would be below zero."""
        return -weight if self.scaled and float((weight * self.mixed).sum()) < 0 else weight

    @property
    def size(self) -> float:
        """What a gradient is small beside."""
        return float(self.values.sum() + self.mixed.norm())


def _descend(problem: _Problem, weight: Tensor, *, steps: int) -> tuple[float, Tensor]:
    """The least error, and the weight of it, within some steps from a start."""
    error, slope = problem.judged(weight)
    best = error, weight
    smallest = (_CONVERGED * problem.size) ** 2
    length = 0.5 / max(float(problem.values.max()), 1e-300)
    level, mass = error, 1.0
    for number in range(steps):
        squared = float(slope.square().sum())
        if squared <= smallest:
            break
        while True:
            moved = _nearby_polar(weight - length * slope)
            reached, turned = problem.judged(moved)
            enough = reached <= level - _LOWERED * length * squared + _EQUAL * problem.size
            if enough or length * squared**0.5 < _SHORTEST:
                break
            length *= _SHORTER
        change, bend = moved - weight, turned - slope
        along = abs(float((change * bend).sum()))
        if along > 0:
            long, short = float(change.square().sum()), float(bend.square().sum())
            length = long / along if number % 2 else along / short
        weight, slope = moved, turned
        level = (_REMEMBERED * mass * level + reached) / (_REMEMBERED * mass + 1)
        mass = _REMEMBERED * mass + 1
        # Near the end errors differ by rounding, and later weights are the better ones.
        if reached <= best[0] + _EQUAL * problem.size:
            best = reached, weight
    return best


def _nearby_polar(matrix: Tensor) -> Tensor:
    """``polar`` of a matrix whose columns are nearly orthonormal, ten times faster than by singular
    values: ``M (M'M)^-1/2``.
    """
    values, directions = torch.linalg.eigh(matrix.T @ matrix)
    if not bool(values[0] > _NEARBY * values[-1]):
        return polar(matrix)
    nearest: Tensor = matrix @ ((directions / values.sqrt()) @ directions.T)
    return nearest
