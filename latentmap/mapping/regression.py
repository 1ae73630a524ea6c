"""Least squares and its penalised kin, from moments.

``G = Xc'Xc`` and ``C = Xc'Yc`` are the centred products, so the intercept is never penalised.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.moments import Moments
from latentmap.mapping.nested import NestedMaps
from latentmap.mapping.solution import Solution, affine, condition_of, require_penalty


def solve_ridge(moments: Moments, *, penalty: float) -> Solution:
    """Ridge regression: ``min |Yc - Xc W|^2 + penalty |W|^2``, so ``W = (G + penalty I)^-1 C``.

    Example:
        >>> from latentmap.mapping.gathering import moments_of
        >>> x = torch.tensor([[-1.0], [1.0]])
        >>> solve_ridge(moments_of(x, 3 * x), penalty=1.0).weight.round(decimals=9)  # 6 / (2 + 1)
        tensor([[2.]], dtype=torch.float64)

    Raises:
        MapError: the penalty is below zero or not finite.
    """
    require_penalty(penalty)
    spectrum = moments.source_spectrum
    shrunk = spectrum.values + penalty
    weight = spectrum.directions @ (spectrum.directions.T @ moments.xy / shrunk[:, None])
    return affine(moments, weight, rank=len(shrunk), condition=condition_of(shrunk))


def solve_least_squares(moments: Moments) -> Solution:
    """Least squares; the map of smallest norm where several fit the pairs equally well."""
    return solve_ridge(moments, penalty=0.0)


def solve_published(moments: Moments, *, penalty: float = 1e-4, activity: float = 1e-4) -> Solution:
    """The objective of the published training, solved: ``A = ((1 + q mu) X'X + lambda n q I)^-1
    X'Y``.

    That is the mean squared error over pairs and variables, plus ``penalty`` (lambda) times the
    squared weights, plus ``activity`` (mu) times the mean squared norm of the mapped codes, without
    an intercept. Both were 1e-4, and 1.5e-3 where a GAN was involved.

    Raises:
        MapError: a penalty is below zero or not finite.
    """
    require_penalty(penalty)
    require_penalty(activity)
    zero = moments.about_zero() if moments.centred else moments
    stretch = 1 + zero.q * activity
    ridge = penalty * zero.n * zero.q / stretch
    solution = solve_ridge(zero, penalty=ridge)
    return replace(solution, weight=solution.weight / stretch)


def reduced_rank_maps(moments: Moments, *, penalty: float) -> NestedMaps:
    """Reduced-rank ridge for every rank: gives the solution of a rank when it is called.

    With the ridge map ``W`` and ``V`` the leading eigenvectors of ``C'W``, the best map of rank
    ``r`` is ``W V_r V_r'`` (Izenman 1975; with a penalty, Mukherjee and Zhu 2011). That is not the
    truncated singular value decomposition of ``W``.
    """
    full = solve_ridge(moments, penalty=penalty)
    fitted = moments.xy.T @ full.weight
    directions = torch.linalg.eigh((fitted + fitted.T) / 2).eigenvectors.flip(1)[:, : full.rank]
    factors = full.weight @ directions, directions.T
    limit = min(moments.p, moments.q)
    return NestedMaps(moments, lambda rank: factors, limit, "the rank", full.condition)


def solve_reduced_rank(moments: Moments, *, rank: int, penalty: float) -> Solution:
    """Ridge regression among the maps of at most ``rank``; see ``reduced_rank_maps``."""
    return reduced_rank_maps(moments, penalty=penalty)(rank)


def solve_errors_in_variables(
    moments: Moments,
    *,
    noise: Tensor,
    penalty: float = 0.0,
    codes: Literal["means", "samples"] = "means",
) -> Solution:
    """Ridge for source codes with noise of known variance: ``(G +- n diag(noise) + penalty I)^-1
    C``.

    ``noise`` ``(p,)`` is the mean variance of each source variable, such as that of a VAE's
    posterior. From codes that are posterior ``means`` it is added, which is the best map for codes
    that will be sampled; from ``samples`` it is taken away, which is the map of the codes without
    their noise (Fuller 1987, section 2.2), and eigenvalues that would fall below zero are left out.

    Raises:
        MapError: the noise has another size or is below zero, or the penalty cannot be.
    """
    require_penalty(penalty)
    if noise.shape != (moments.p,) or not bool((noise >= 0).all()):
        raise MapError(
            f"the noise must be {moments.p} variances of at least 0, one a source variable, not "
            f"{tuple(noise.shape)}"
        )
    if codes not in ("means", "samples"):
        raise MapError(f"unknown kind of codes {codes!r}: choose means or samples")
    sign = 1 if codes == "means" else -1
    products = moments.xx + torch.diag(sign * moments.n * noise.to(moments.xx))
    return solve_ridge(replace(moments.dense(), xx=products), penalty=penalty)
