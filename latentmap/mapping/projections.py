"""Maps through a few shared components: canonical correlations and partial least squares.

``G = Xc'Xc``, ``H = Yc'Yc`` and ``C = Xc'Yc``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from latentmap.mapping.moments import Moments
from latentmap.mapping.solution import (
    Solution,
    affine,
    condition_of,
    inverse_root,
    require_penalty,
    require_size,
    root,
)


def cca_maps(moments: Moments, *, penalty: float = 0.0) -> Callable[[int], Solution]:
    """The maps through canonical components, for every number of them.

    ``U S V'`` is the decomposition of ``(G + a I)^-1/2 C (H + b I)^-1/2`` (Hotelling 1936; with a
    penalty, Vinod 1976), and ``W = (G + a I)^-1/2 U_k S_k V_k' (H + b I)^1/2``. The ``penalty`` is
    ``a``; ``b`` is the same in proportion to the target's variance. All components without penalty
    are least squares.
    """
    require_penalty(penalty)
    x, y = moments.source_spectrum, moments.target_spectrum
    total_x, total_y = float(x.values.sum()), float(y.values.sum())
    penalty_y = penalty * (total_y / moments.q) / (total_x / moments.p) if total_x > 0 else 0.0
    left = inverse_root(x, penalty)
    u, s, vt = torch.linalg.svd(
        left.T @ moments.xy @ inverse_root(y, penalty_y), full_matrices=False
    )
    carried = vt @ root(y, penalty_y)

    def solve(components: int) -> Solution:
        require_size(components, min(moments.p, moments.q), "the number of components")
        k = min(components, len(s))
        weight = left @ (u[:, :k] * s[:k]) @ carried[:k]
        first = float(s[0]) if len(s) else 0.0
        return affine(
            moments,
            weight,
            rank=k,
            condition=condition_of(x.values + penalty),
            first_correlation=first,
        )

    return solve


def solve_cca(moments: Moments, *, components: int) -> Solution:
    """The map through the leading canonical components; see ``cca_maps``."""
    return cca_maps(moments)(components)


def solve_regularised_cca(moments: Moments, *, components: int, penalty: float) -> Solution:
    """The map through the leading components of penalised CCA; see ``cca_maps``."""
    return cca_maps(moments, penalty=penalty)(components)


def pls_maps(moments: Moments) -> Callable[[int], Solution]:
    """Partial least squares (PLS2) for every number of components.

    The kernel algorithm of Dayal and MacGregor (1997): each component is the direction of largest
    covariance with what the earlier ones left of ``C``, which needs no rows.
    """
    residual = moments.xy.clone()
    rotations: list[torch.Tensor] = []
    loadings_x: list[torch.Tensor] = []
    loadings_y: list[torch.Tensor] = []
    floor = torch.finfo(torch.float64).eps * float(residual.norm())

    def extend() -> bool:
        if float(residual.norm()) <= floor * len(residual) or len(rotations) >= len(
            moments.source_spectrum.values
        ):
            return False
        direction = _leading(residual)
        rotation = direction.clone()
        for past, loading in zip(rotations, loadings_x, strict=True):
            rotation -= (loading @ direction) * past
        spread = rotation @ moments.xx @ rotation
        loadings_x.append(moments.xx @ rotation / spread)
        loadings_y.append(moments.xy.T @ rotation / spread)
        rotations.append(rotation)
        residual.sub_(torch.outer(loadings_x[-1], loadings_y[-1]) * spread)
        return True

    def solve(components: int) -> Solution:
        require_size(components, moments.p, "the number of components")
        while len(rotations) < components and extend():
            pass
        k = min(components, len(rotations))
        weight = torch.zeros_like(moments.xy)
        if k:
            weight = torch.stack(rotations[:k], 1) @ torch.stack(loadings_y[:k])
        return affine(moments, weight, rank=k)

    return solve


def solve_pls(moments: Moments, *, components: int) -> Solution:
    """Partial least squares with so many components; see ``pls_maps``."""
    return pls_maps(moments)(components)


def _leading(matrix: torch.Tensor) -> torch.Tensor:
    """The left singular vector of the largest singular value."""
    p, q = matrix.shape
    if p <= q:
        left: torch.Tensor = torch.linalg.eigh(matrix @ matrix.T).eigenvectors[:, -1]
        return left
    right = torch.linalg.eigh(matrix.T @ matrix).eigenvectors[:, -1]
    left = matrix @ right
    return left.div(left.norm())
