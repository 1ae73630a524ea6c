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
    spectrum = moments.source_spectrum
    values = spectrum.values[:, None]
    # Along the directions of the source the products are diagonal: what rounding of a large
    # direction leaves never reaches a small one.
    residual = spectrum.directions.T @ moments.xy
    rotations, loadings_x = residual.new_zeros(2, len(values), 0)
    loadings_y = residual.new_zeros(0, moments.q)
    floor = torch.finfo(torch.float64).eps * float(residual.norm()) * moments.p

    def extend() -> bool:
        nonlocal rotations, loadings_x, loadings_y, residual
        if float(residual.norm()) <= floor or rotations.shape[1] >= len(values):
            return False
        rotation = _leading(residual)[:, None]
        for _ in range(2):  # Once leaves rounding that is large beside a small direction.
            rotation = rotation - rotations @ (loadings_x.T @ rotation)
        spread = (values * rotation.square()).sum()
        rotations = torch.cat([rotations, rotation], 1)
        loadings_x = torch.cat([loadings_x, values * rotation / spread], 1)
        loadings_y = torch.cat([loadings_y, rotation.T @ residual / spread])
        for _ in range(2):
            residual = residual - loadings_x @ (rotations.T @ residual)
        return True

    def solve(components: int) -> Solution:
        require_size(components, moments.p, "the number of components")
        while rotations.shape[1] < components and extend():
            pass
        k = min(components, rotations.shape[1])
        weight = spectrum.directions @ (rotations[:, :k] @ loadings_y[:k])
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
