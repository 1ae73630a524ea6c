"""Similarity indexes that compare two spaces along directions: canonical ones, or a rotation.

Shapes: ``n`` images, ``p`` and ``q`` variables, ``k`` canonical variates. All float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.comparison.relations import centred
from latentmap.mapping import Moments
from latentmap.mapping.solution import inverse_root

_ROUNDING = 1e-7  # Of scores of float32 codes, relative to their size.


@dataclass(frozen=True, eq=False)
class CanonicalDirections:
    """The directions ``left`` ``(p, k)`` and ``right`` ``(q, k)`` whose scores correlate most.

    ``left_weights`` and ``right_weights`` ``(k,)`` sum to 1: how much of the variables of each
    space a variate stands for.
    """

    left: Tensor
    right: Tensor
    left_weights: Tensor
    right_weights: Tensor


def canonical_directions(moments: Moments) -> CanonicalDirections:
    """The canonical directions of some pairs (Hotelling 1936), for scores on other images.

    ``U S V'`` is the decomposition of ``G^-1/2 C H^-1/2``; the directions are ``G^-1/2 U`` and
    ``H^-1/2 V``. A weight is ``sum_j |h' x_j|`` over the variables ``x_j`` of a space, ``h`` being
    the variate there (Morcos, Raghu and Bengio 2018).
    """
    x, y = inverse_root(moments.source_spectrum), inverse_root(moments.target_spectrum)
    u, _, vt = torch.linalg.svd(moments.between(x, y), full_matrices=False)
    left, right = x @ u, y @ vt.T
    return CanonicalDirections(
        left,
        right,
        _shares(moments.spread(left).abs().sum(0)),
        _shares(moments.spread_y(right).abs().sum(0)),
    )


def standardised(scores: Tensor) -> Tensor:
    """Scores ``(n, k)`` of mean 0 and length 1, each by itself; NaN where one does not vary."""
    away = scores - scores.mean(0)
    lengths = away.norm(dim=0)
    return torch.where(lengths > _ROUNDING * scores.norm(dim=0), away / lengths, torch.nan)


def correlations(scores: Tensor, others: Tensor) -> Tensor:
    """The correlation ``(k,)`` of each score with its partner; NaN where one does not vary."""
    return (standardised(scores) * standardised(others)).sum(0).clamp(-1, 1)


def normalised(codes: Tensor) -> Tensor:
    """Codes about their mean, with sum of squares 1; NaN where they do not vary."""
    away = centred(codes)
    length = away.norm()
    return away / torch.where(length > 0, length, torch.nan)


@dataclass(frozen=True, eq=False)
class Rotation:
    """The rotation or reflection that carries the one space of some pairs nearest to the other
    (Schoenemann 1966): ``U V'`` of the decomposition of the products, ``left`` ``(p, r)`` and
    ``right`` ``(q, r)``; between spaces of different sizes the part of it that meets both, and of
    fewer pairs than variables the part that they tell.
    """

    left: Tensor
    right: Tensor

    @classmethod
    def of(cls, moments: Moments) -> Rotation:
        return cls(*moments.shared_directions)

    def apply(self, codes: Tensor) -> Tensor:
        """Rotated codes ``(n, q)``."""
        return (codes @ self.left) @ self.right.T


def procrustes_distances_of(shares: Tensor) -> Tensor:
    """``sqrt(1 - s^2)`` of the inner products ``s`` of normalised codes, the one rotated: the root
    of the share of variance that the rotation and the best scale, which is not negative, leave.
    """
    return (1 - shares.clamp(min=0).square()).clamp(min=0).sqrt()


def _shares(weights: Tensor) -> Tensor:
    return weights / weights.sum()
