"""Solvers: closed-form linear maps from moments, tensors in and tensors out.

A map is ``y = x W + b`` with ``W`` ``(p, q)`` and ``b`` ``(q,)``; everything is float64.
``G = Xc'Xc`` and ``C = Xc'Yc`` are the centred products of the moments, so the intercept ``b`` is
never penalised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from latentmap.errors import MapError
from latentmap.mapping.moments import Moments


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved map.

    ``weight`` ``(p, q)``, ``bias`` ``(q,)``; ``rank`` is the number of directions in which the
    source codes vary, and ``condition`` the ratio of the largest to the smallest singular value of
    what was inverted along them (1 when the source codes do not vary at all).
    """

    weight: torch.Tensor
    bias: torch.Tensor
    rank: int
    condition: float


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues ``(r,)`` of ``G``, largest first, and their directions ``(p, r)``."""

    values: torch.Tensor
    directions: torch.Tensor


def source_spectrum(moments: Moments) -> Spectrum:
    """The directions in which the source codes vary, without those that hold only rounding noise.

    Codes are float32: each number x is known to ``eps32 |x|``, which puts a floor of ``eps32^2
    sum(x^2)`` under the eigenvalues; the float64 sums add ``p eps64`` times the largest. Neither
    depends on the number of pairs, unlike the usual cut-offs, so a collapsed variable is left out
    at any ``n`` and never blows a map up.
    """
    values, directions = torch.linalg.eigh(moments.xx)
    squares = moments.xx.diagonal() + moments.n * moments.mean_x.square()
    floor = torch.maximum(
        values[-1] * len(values) * torch.finfo(torch.float64).eps,
        squares.max() * torch.finfo(torch.float32).eps ** 2,
    )
    kept = values > floor
    return Spectrum(values[kept].flip(0), directions[:, kept].flip(1))


def solve_ridge(moments: Moments, *, penalty: float) -> Solution:
    """Ridge regression: ``min |Yc - Xc W|^2 + penalty |W|^2``, so ``W = (G + penalty I)^-1 C``.

    Example:
        >>> from latentmap.mapping.moments import moments_of_blocks
        >>> x = torch.tensor([[-1.0], [1.0]])
        >>> solve_ridge(moments_of_blocks([(x, 3 * x)]), penalty=1.0).weight  # 6 / (2 + 1)
        tensor([[2.]], dtype=torch.float64)

    Raises:
        MapError: the penalty is below zero or not finite.
    """
    # NaN fails the comparison, so it is refused as well.
    if not 0 <= penalty < float("inf"):
        raise MapError(f"a penalty must be a number of at least 0, not {penalty:g}")
    spectrum = source_spectrum(moments)
    shrunk = spectrum.values + penalty
    weight = spectrum.directions @ (spectrum.directions.T @ moments.xy / shrunk[:, None])
    condition = float((shrunk[0] / shrunk[-1]).sqrt()) if len(shrunk) else 1.0
    return Solution(weight, moments.mean_y - moments.mean_x @ weight, len(shrunk), condition)


def solve_least_squares(moments: Moments) -> Solution:
    """Least squares; the map of smallest norm where several fit the pairs equally well."""
    return solve_ridge(moments, penalty=0.0)


# What a user may choose. A method that takes a penalty has it chosen by leave-one-out when none is
# given.
SOLVERS: dict[str, Callable[..., Solution]] = {
    "least-squares": solve_least_squares,
    "ridge": solve_ridge,
}
