"""Indexes of how alike two spaces are, without a map from one to the other.

All compare codes of the same images, row by row. What an index does not see is declared in
``INDEXES``, and tested.

Shapes: ``n`` images, codes ``(n, p)`` and ``(n, q)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from latentmap.comparison.projections import (
    CanonicalDirections,
    correlations,
    normalised,
    procrustes_distance_of,
)
from latentmap.comparison.relations import (
    CKA,
    DISTANCES,
    MUTUAL_NEIGHBOURS,
    Relation,
    cosines,
    relation_of,
)
from latentmap.errors import PairError


@dataclass(frozen=True)
class SimilarityIndex:
    """What an index is.

    ``same`` is its value for two equal spaces and ``bounds`` the least and largest value.
    ``invariances`` say which changes of the codes of either space leave it as it is: a translation,
    one scale for all variables, a rotation or reflection, any invertible linear map. An index that
    is not ``symmetric`` changes with the direction.
    """

    title: str
    meaning: str
    same: float
    bounds: tuple[float, float]
    invariances: Mapping[str, bool]
    symmetric: bool = True

    @property
    def higher_is_alike(self) -> bool:
        """Whether a larger value means that the spaces are more alike."""
        return self.same == self.bounds[1]

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "title": self.title,
            "meaning": self.meaning,
            "same": self.same,
            "bounds": list(self.bounds),
            "higher_is_alike": self.higher_is_alike,
            "symmetric": self.symmetric,
            "invariances": dict(self.invariances),
        }


def _invariant(*, linear: bool = False, orthogonal: bool = True) -> dict[str, bool]:
    return {
        "translation": True,
        "isotropic_scaling": True,
        "orthogonal": orthogonal,
        "invertible_linear": linear,
    }


INDEXES: dict[str, SimilarityIndex] = {
    "cka": SimilarityIndex(
        "linear CKA",
        "cosine of the centred inner products, by the unbiased estimate of HSIC: about 0 for "
        "unrelated spaces of any dimension",
        1.0,
        (-1.0, 1.0),
        _invariant(),
    ),
    "cca": SimilarityIndex(
        "mean CCA",
        "mean correlation of the canonical variates, fitted on other images than these",
        1.0,
        (-1.0, 1.0),
        _invariant(linear=True),
    ),
    "pwcca": SimilarityIndex(
        "PWCCA",
        "the same, each variate weighted by how much of the source's variables it stands for",
        1.0,
        (-1.0, 1.0),
        # The weights are sums of absolute values, which depend on the axes.
        _invariant(orthogonal=False),
        symmetric=False,
    ),
    "procrustes": SimilarityIndex(
        "Procrustes distance",
        "root of the share of variance that is left after the best rotation and scale",
        0.0,
        (0.0, 1.0),
        _invariant(),
    ),
    "neighbours": SimilarityIndex(
        "mutual neighbours",
        "share of the ten nearest images of an image that are the same in both spaces",
        1.0,
        (0.0, 1.0),
        _invariant(),
    ),
    "distances": SimilarityIndex(
        "distance correlation",
        "rank correlation (Spearman) of all distances between images",
        1.0,
        (-1.0, 1.0),
        _invariant(),
    ),
}

RELATIONS: dict[str, Relation] = {
    "cka": CKA,
    "neighbours": MUTUAL_NEIGHBOURS,
    "distances": DISTANCES,
}
FEWEST = 20  # Images of which an index says anything.


def debiased_cka(x: Tensor, y: Tensor) -> float:
    """Linear CKA from the unbiased estimates of HSIC (Kornblith et al. 2019; Song et al. 2012).

    Example:
        >>> import torch
        >>> x = torch.randn(50, 3, generator=torch.manual_seed(0))
        >>> round(debiased_cka(x, 2 * x.flip(1) + 1), 6)
        1.0

    Raises:
        PairError: the codes are not of the same images, or of fewer than 20.
    """
    return _by_relation(x, y, CKA)


def mutual_neighbours(x: Tensor, y: Tensor) -> float:
    """The share of the ten nearest images that are the same in both spaces (Huh et al. 2024).

    Raises:
        PairError: as for ``debiased_cka``.
    """
    return _by_relation(x, y, MUTUAL_NEIGHBOURS)


def distance_correlation(x: Tensor, y: Tensor) -> float:
    """Spearman's correlation of the distances of all pairs of images (Kriegeskorte et al. 2008).

    Raises:
        PairError: as for ``debiased_cka``.
    """
    return _by_relation(x, y, DISTANCES)


def procrustes_distance(x: Tensor, y: Tensor) -> float:
    """The root of what the best rotation and scale leave of the variance of normalised codes, from
    0 to 1: a metric (Williams et al. 2021), whose square is scipy's disparity.

    Raises:
        PairError: as for ``debiased_cka``.
    """
    _require_rows(x, y)
    return procrustes_distance_of(normalised(x).T @ normalised(y))


def held_out_correlations(x: Tensor, y: Tensor, directions: CanonicalDirections) -> Tensor:
    """The correlations ``(k,)`` of the scores of codes along canonical directions that were fitted
    on others; NaN for a score that does not vary.

    Raises:
        PairError: as for ``debiased_cka``.
    """
    _require_rows(x, y)
    return correlations(x.double() @ directions.left, y.double() @ directions.right)


def _by_relation(x: Tensor, y: Tensor, relation: Relation) -> float:
    _require_rows(x, y)
    one, other = (relation_of(codes, relation)[None] for codes in (x, y))
    return float(cosines(one, other))


def _require_rows(x: Tensor, y: Tensor) -> None:
    if len(x) != len(y) or len(x) < FEWEST:
        raise PairError(
            f"a similarity index compares codes of the same images, {FEWEST} or more, not of "
            f"{len(x)} and {len(y)}: encode the same images with both models"
        )
