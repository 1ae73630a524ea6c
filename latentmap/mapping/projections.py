"""Maps through a few shared components: canonical correlations and partial least squares.

``G = Xc'Xc``, ``H = Yc'Yc`` and ``C = Xc'Yc``.
"""

from __future__ import annotations

import torch

from latentmap.mapping.leading import LeadingVector
from latentmap.mapping.moments import Moments
from latentmap.mapping.nested import NestedMaps
from latentmap.mapping.solution import (
    Solution,
    condition_of,
    inverse_root,
    require_penalty,
    root,
)

_ROOM = 64  # Components that memory is taken for at a time, at least.
# Rounding is cleared away after so many components, and when so little of a residual is left.
_CLEARED = 32
_FALLEN = 0.1


def cca_maps(moments: Moments, *, penalty: float = 0.0) -> NestedMaps:
    """The maps through canonical components, for every number of them.

    ``U S V'`` is the decomposition of ``K = (G + a I)^-1/2 C (H + b I)^-1/2`` (Hotelling 1936; with
    a penalty, Vinod 1976), and ``W = (G + a I)^-1/2 U_k S_k V_k' (H + b I)^1/2``. The ``penalty``
    is ``a``; ``b`` is the same in proportion to the target's variance. All components without
    penalty are least squares.
    """
    require_penalty(penalty)
    x, y = moments.source_spectrum, moments.target_spectrum
    total_x, total_y = float(x.values.sum()), float(y.values.sum())
    penalty_y = penalty * (total_y / moments.q) / (total_x / moments.p) if total_x > 0 else 0.0
    inner = moments.crossed / torch.outer(
        (x.values + penalty).sqrt(), (y.values + penalty_y).sqrt()
    )
    # U_k S_k V_k' is U_k U_k' K, and K V_k V_k': the vectors of the smaller side are enough.
    if inner.shape[0] <= inner.shape[1]:
        values, u = torch.linalg.eigh(inner @ inner.T)
        u = u.flip(1)
        left, right = u, u.T @ inner
    else:
        values, v = torch.linalg.eigh(inner.T @ inner)
        v = v.flip(1)
        left, right = inner @ v, v.T
    factors = inverse_root(x, penalty) @ left, right @ root(y, penalty_y)
    return NestedMaps(
        moments,
        lambda components: factors,
        min(moments.p, moments.q),
        "the number of components",
        condition_of(x.values + penalty),
        {"first_correlation": float(values[-1].clamp(min=0).sqrt()) if len(values) else 0.0},
    )


def solve_cca(moments: Moments, *, components: int) -> Solution:
    """The map through the leading canonical components; see ``cca_maps``."""
    return cca_maps(moments)(components)


def solve_regularised_cca(moments: Moments, *, components: int, penalty: float) -> Solution:
    """The map through the leading components of penalised CCA; see ``cca_maps``."""
    return cca_maps(moments, penalty=penalty)(components)


def pls_maps(moments: Moments) -> NestedMaps:
    """Partial least squares (PLS2) for every number of components.

    The kernel algorithm of Dayal and MacGregor (1997): each component is the direction of largest
    covariance with what the earlier ones left of ``C``, which needs no rows.
    """
    spectrum = moments.source_spectrum
    components = _Components(spectrum.values, spectrum.directions.T @ moments.xy, moments.p)

    def factors(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        rotations, loadings = components.upto(size)
        return spectrum.directions @ rotations, loadings

    return NestedMaps(moments, factors, moments.p, "the number of components")


def solve_pls(moments: Moments, *, components: int) -> Solution:
    """Partial least squares with so many components; see ``pls_maps``."""
    return pls_maps(moments)(components)


class _Components:
    """Components of partial least squares along the directions of the source.

    There the products are diagonal, the ``values`` ``(r,)``: what rounding of a large direction
    leaves never reaches a small one. ``residual`` ``(r, q)`` is what is left of ``C``.
    """

    def __init__(self, values: torch.Tensor, residual: torch.Tensor, p: int) -> None:
        self._values, self._count = values, 0
        self._left = LeadingVector(residual)
        self._rotations, self._loadings_x = residual.new_zeros(2, len(values), 0)
        self._loadings_y = residual.new_zeros(0, residual.shape[1])
        self._norm = self._largest = float(residual.norm())
        self._floor = torch.finfo(torch.float64).eps * self._norm * p

    def upto(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotations ``(r, k)`` and loadings of the target ``(k, q)``; fewer than ``size`` where
        nothing is left.
        """
        while self._count < min(size, len(self._values)) and self._norm > self._floor:
            self._extend()
        k = min(size, self._count)
        return self._rotations[:, :k], self._loadings_y[:k]

    def _extend(self) -> None:
        k, values, residual = self._count, self._values, self._left.matrix
        self._make_room()
        known, known_x = self._rotations[:, :k], self._loadings_x[:, :k]
        rotation = self._left.find()
        for _ in range(2):  # Once leaves rounding that is large beside a small direction.
            rotation = rotation - known @ (known_x.T @ rotation)
        spread = (values * rotation.square()).sum()
        self._rotations[:, k] = rotation
        self._loadings_x[:, k] = values * rotation / spread
        explained = rotation @ residual
        self._loadings_y[k] = explained / spread
        self._left.subtract(self._loadings_x[:, k], explained)
        self._count += 1
        self._norm = float(residual.norm())
        self._largest = max(self._largest, self._norm)
        if self._count % _CLEARED == 0 or self._norm < _FALLEN * self._largest:
            self._clear()

    def _clear(self) -> None:
        """Takes from the residual what rounding left of all components."""
        residual = self._left.matrix
        known, known_x = self._rotations[:, : self._count], self._loadings_x[:, : self._count]
        for _ in range(2):
            residual -= known_x @ (known.T @ residual)
        self._left.refresh()
        self._norm = self._largest = float(residual.norm())

    def _make_room(self) -> None:
        room = self._rotations.shape[1]
        if self._count < room:
            return
        more = min(max(_ROOM, room), len(self._values) - room)
        pad = torch.nn.functional.pad
        self._rotations = pad(self._rotations, (0, more))
        self._loadings_x = pad(self._loadings_x, (0, more))
        self._loadings_y = pad(self._loadings_y, (0, 0, 0, more))
