"""Maps that keep angles: Procrustes and its kin, from moments.

``G = Xc'Xc`` and ``C = Xc'Yc``. A source no larger than its target is embedded (``W W' = I``), a
larger one is projected (``W' W = I``). Padding the smaller space with zeros solves neither.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.moments import Moments, Spectrum
from latentmap.mapping.solution import Solution, affine, inverse_root, root

_STEPS = 500
_NEARBY = 1e-6  # Squared condition up to which a product of a matrix with itself keeps its digits.
_CONVERGED = 1e-12  # Of the squared error, relative to its terms.
# Directions with less than this share of the largest variance are not whitened further: that would
# blow their noise up.
_WHITENED = 1e-6


def solve_procrustes(moments: Moments) -> Solution:
    """The orthogonal map nearest to the pairs: ``min |Yc - Xc W|`` (Schoenemann 1966).

    For ``p <= q`` it is ``U V'`` of ``C = U S V'``. For ``p > q`` the norm of ``Xc W`` depends on
    ``W``, and the minimum is found by projected gradient steps: it may be a local one, the better
    of two starts.
    """
    weight = _orthogonal(moments)
    return affine(moments, weight, rank=_rank(moments.xy))


def solve_similarity(moments: Moments) -> Solution:
    """Scaled Procrustes: an orthogonal map times one positive scale, which ``figures`` holds.

    For ``p <= q`` the scale is ``tr(S) / tr(G)`` (Schoenemann and Carroll 1970); for ``p > q``
    map and scale are found together.
    """
    weight = _orthogonal(moments, scaled=True)
    scale = _scale(moments, weight)
    return affine(moments, scale * weight, rank=_rank(moments.xy), scale=scale)


def solve_whitened_procrustes(moments: Moments, *, whitening: float = 0.5) -> Solution:
    """Procrustes between partly whitened codes (Williams et al. 2021): ``W = Zx Q Zy^-1``.

    ``Z = ((1 - a) v I + a Cov)^-1/2``, with ``a`` the ``whitening`` from 0 (a rotation and the
    ratio of spreads) to 1 (any affine map between the whitened codes) and ``v`` the mean variance.

    Raises:
        MapError: the whitening is not from 0 to 1.
    """
    if not 0 <= whitening <= 1:
        raise MapError(f"the whitening must be from 0 to 1, not {whitening:g}")
    x, y = (
        _blended(moments.source_spectrum, whitening),
        _blended(moments.target_spectrum, whitening),
    )
    if not len(x.values) or not len(y.values):
        return affine(moments, torch.zeros_like(moments.xy), rank=0)
    inner = moments.transform(inverse_root(x), inverse_root(y))
    weight = inverse_root(x) @ _orthogonal(inner) @ root(y)
    condition = float((x.values.max() / x.values.min()).sqrt())
    return affine(moments, weight, rank=min(len(x.values), len(y.values)), condition=condition)


def solve_permutation(moments: Moments, *, signed: bool = True) -> Solution:
    """The (signed) matching of single variables with the smallest squared error.

    Each variable of the smaller space gets a partner of its own in the other, with weight 1 or,
    when ``signed``, -1. Matching target ``j`` to source ``i`` costs ``G_ii - 2 |C_ij|``; the best
    matching is found by the Hungarian method.
    """
    gain = moments.xy.abs() if signed else moments.xy
    cost = moments.xx.diagonal()[:, None] - 2 * gain
    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    weight = torch.zeros_like(moments.xy)
    values = moments.xy[rows, columns]
    weight[rows, columns] = torch.where(values < 0, -1.0, 1.0).to(weight) if signed else 1.0
    return affine(moments, weight, rank=len(rows))


def _orthogonal(moments: Moments, *, scaled: bool = False) -> Tensor:
    """The best orthogonal map; with ``scaled`` the one that is best with a scale of its own."""
    if moments.p <= moments.q:
        return _polar(moments.xy)
    inverse = torch.linalg.pinv(moments.xx, hermitian=True)
    starts = (_polar(moments.xy), _polar(inverse @ moments.xy))
    found = [_project(moments, start, scaled) for start in starts]
    return min(found, key=lambda pair: pair[0])[1]


def _project(moments: Moments, start: Tensor, scaled: bool) -> tuple[float, Tensor]:
    """The minimum of ``s^2 tr(W'GW) - 2 s tr(W'C)`` over ``W'W = I`` that a start leads to.

    Every step is the polar factor of a gradient step, which cannot raise the error; steps are
    extrapolated (Nesterov 1983) and start afresh where that raised it.
    """
    largest = float(torch.linalg.eigvalsh(moments.xx)[-1])
    terms = float(moments.xx.trace() + moments.xy.norm())
    best, past, momentum = start, start, 1.0
    error = _error(moments, best, scaled)
    if not largest > 0:
        return error, best
    for _ in range(_STEPS):
        scale = _scale(moments, best) if scaled else 1.0
        if not scale > 0:
            break
        after = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = best + (momentum - 1) / after * (best - past)
        moved = _nearby_polar(ahead + (moments.xy / scale - moments.xx @ ahead) / largest)
        reached = _error(moments, moved, scaled)
        if reached > error and momentum > 1:
            past, momentum = best, 1.0
            continue
        change, past, best, momentum = error - reached, best, moved, after
        error = min(error, reached)
        if change <= _CONVERGED * terms:
            break
    return error, best


def _error(moments: Moments, weight: Tensor, scaled: bool) -> float:
    """The squared error but for what does not depend on the weight."""
    scale = _scale(moments, weight) if scaled else 1.0
    spread = float((weight * (moments.xx @ weight)).sum())
    return scale**2 * spread - 2 * scale * float((weight * moments.xy).sum())


def _polar(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns."""
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    nearest: Tensor = u @ vt
    return nearest


def _nearby_polar(matrix: Tensor) -> Tensor:
    """The same for a matrix whose columns are nearly orthonormal, ten times faster than by singular
    values: ``M (M'M)^-1/2``.
    """
    values, directions = torch.linalg.eigh(matrix.T @ matrix)
    if not bool(values[0] > _NEARBY * values[-1]):
        return _polar(matrix)
    nearest: Tensor = matrix @ ((directions / values.sqrt()) @ directions.T)
    return nearest


def _scale(moments: Moments, weight: Tensor) -> float:
    spread = float((weight * (moments.xx @ weight)).sum())
    return float((weight * moments.xy).sum()) / spread if spread > 0 else 0.0


def _rank(matrix: Tensor) -> int:
    return int(torch.linalg.matrix_rank(matrix))


def _blended(spectrum: Spectrum, whitening: float) -> Spectrum:
    values = spectrum.values
    if not len(values):
        return spectrum
    flat = values.sum() / len(spectrum.directions)
    blended = ((1 - whitening) * flat + whitening * values).clamp(min=_WHITENED * float(values[0]))
    return Spectrum(blended, spectrum.directions)
