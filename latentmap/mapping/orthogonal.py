"""Maps that keep angles: Procrustes and its kin, from moments.

``G = Xc'Xc`` and ``C = Xc'Yc``. A source no larger than its target is embedded (``W W' = I``), a
larger one is projected (``W' W = I``). Padding the smaller space with zeros solves neither.
"""

from __future__ import annotations

import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.moments import Moments, Spectrum
from latentmap.mapping.projection import nearest_projection, polar
from latentmap.mapping.solution import Solution, affine, inverse_root, root

# Directions with less than this share of the largest variance are not whitened further: that would
# blow their noise up.
_WHITENED = 1e-6


def solve_procrustes(moments: Moments) -> Solution:
    """The orthogonal map nearest to the pairs: ``min |Yc - Xc W|`` (Schoenemann 1966).

    For ``p <= q`` it is ``U V'`` of ``C = U S V'``. For ``p > q`` the norm of ``Xc W`` depends on
    ``W``, and the minimum is the best that gradient steps from several starts find; see
    ``nearest_projection``.
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
    cost = moments.squares_x[:, None] - 2 * gain
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    weight = torch.zeros_like(moments.xy)
    values = moments.xy[rows, columns]
    weight[rows, columns] = torch.where(values < 0, -1.0, 1.0).to(weight) if signed else 1.0
    return affine(moments, weight, rank=len(rows))


def _orthogonal(moments: Moments, *, scaled: bool = False) -> Tensor:
    """The best orthogonal map; with ``scaled`` the one that is best with a scale of its own."""
    if moments.p <= moments.q:
        return polar(moments.xy)
    return nearest_projection(moments, scaled=scaled)


def _scale(moments: Moments, weight: Tensor) -> float:
    spread = float((weight * moments.spread(weight)).sum())
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
