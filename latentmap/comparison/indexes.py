"""Indexes of how alike two spaces are, without a map from one to the other.

All compare codes of the same images, row by row; ``compare_codes`` computes them. What an index
does not see is declared in ``INDEXES``, and tested.

CKA is that of Kornblith et al. (2019) with the unbiased estimates of HSIC (Song et al. 2012); the
Procrustes distance is the metric of Williams et al. (2021), whose square is scipy's disparity, but
with a rotation that was fitted on other images: fitted on the same, it is the smaller, the fewer
they are. Mutual neighbours are those of Huh et al. (2024), the correlation of distances that of
Kriegeskorte et al. (2008). Ten neighbours are a larger share of fewer images, so that mutual
neighbours alone can only be compared at equal numbers of images. Kernel CKA is that of Kornblith et
al. with the Gaussian kernel, debiased alike. GULP is that of Boix-Adsera et al. (2022), see
``gulp.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentmap.comparison.gulp import GULP_PENALTY
from latentmap.comparison.relations import (
    CKA,
    DISTANCES,
    GULP,
    KERNEL_CKA,
    MUTUAL_NEIGHBOURS,
    Relation,
)


@dataclass(frozen=True)
class SimilarityIndex:
    """What an index is.

    ``same`` is its value for two equal spaces and ``bounds`` the least and largest value.
    ``invariances`` say which changes of the codes of either space leave it as it is: a translation,
    one scale for all variables, a rotation or reflection, any invertible linear map. An index that
    is not ``symmetric`` changes with the direction. One that ``depends_on_n`` means something else
    for another number of images.
    """

    title: str
    meaning: str
    same: float
    bounds: tuple[float, float]
    invariances: Mapping[str, bool]
    symmetric: bool = True
    depends_on_n: bool = False

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
            "depends_on_n": self.depends_on_n,
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
    "kernel_cka": SimilarityIndex(
        "kernel CKA",
        "the same of Gaussian kernels, each as wide as the median distance of two images",
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
        "root of the share of variance that is left after the best rotation, fitted on other "
        "images, and scale",
        0.0,
        (0.0, 1.0),
        _invariant(),
    ),
    "gulp": SimilarityIndex(
        "GULP distance",
        "root mean square difference of the predictions of ridge regressions from both spaces, "
        f"at a penalty of {GULP_PENALTY:g} of the variance, about 1 for unrelated spaces",
        0.0,
        (0.0, 2**0.5),
        _invariant(),
    ),
    "neighbours": SimilarityIndex(
        "mutual neighbours",
        "share of the ten nearest images of an image that are the same in both spaces, or are "
        "expected to be where distances are equal; it rises as the images become fewer",
        1.0,
        (0.0, 1.0),
        _invariant(),
        depends_on_n=True,
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
    "kernel_cka": KERNEL_CKA,
    "gulp": GULP,
    "neighbours": MUTUAL_NEIGHBOURS,
    "distances": DISTANCES,
}
FEWEST = 20  # Images of which an index says anything.
