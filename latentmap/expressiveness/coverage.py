"""Coverage: how much of the real images a generator makes, and how much of what it makes is real.

Measured on codes of one encoder, so that no weights have to be downloaded. Shapes: ``n`` real and
``m`` generated images, ``d`` variables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.expressiveness.clipped import good_share
from latentmap.expressiveness.half_samples import SPLITS, by_halves, halves, share_by_halves
from latentmap.expressiveness.neighbours import Neighbours, count_neighbours
from latentmap.intervals import Estimate

FIGURES = ("precision", "recall", "density", "coverage")
CLIPPED = ("clipped_density", "clipped_coverage")
_OTHERS = (*CLIPPED, "realism")
_SHARES = ("precision", "recall", "coverage")  # Of images.
# Images that the published numbers of neighbours need.
FEWEST = 6
FEW = 100  # Images, below which intervals were not tried.


def space_of(encoder: str) -> str:
    """What figures of codes are in, by the name of the encoder.

    Example:
        >>> space_of("svae")
        'codes of svae'
    """
    return f"codes of {encoder}"


def few_neighbours(n: int, m: int) -> list[str]:
    """That ``n`` real and ``m`` generated images are too few for these figures, where they are."""
    fewest = min(n, m)
    if fewest >= FEW:
        return []
    return [
        f"figures of neighbours take {FEW} images of each kind, not {fewest:,}: intervals of "
        "fewer were not tried, and below 12 there are none"
    ]


@dataclass(frozen=True, eq=False)
class Coverage:
    """Figures of a generator, each with its 95 % interval.

    A ball around an image reaches to its k-th nearest neighbour of its own kind. ``precision`` is
    the share of generated images in a ball of a real one, ``recall`` the share of real images in a
    ball of a generated one (Kynkäänniemi et al. 2019). ``density`` is how many balls of real images
    a generated one lies in, over k, and ``coverage`` the share of real images with a generated one
    in their ball (Naeem et al. 2020). A perfect generator has a density of 1 and, with as many
    images, a coverage of about 1 - 2^-k.

    ``clipped_density`` and ``clipped_coverage`` (Salvy et al., arXiv 2507.01761) are both about the
    share of generated images that are good: no ball is larger than the median one, no image counts
    for more than 1, and both are 1 of a perfect generator.

    ``realism`` is the median over generated images of ``realism_of`` ``(m,)``: how many times
    nearer to a real image one could be at most and still be outside of its ball, among the half of
    the balls that are smaller (Kynkäänniemi et al. 2019). From 1 on it lies in one; of a copy it is
    1000.

    Intervals are of new real and new generated images, as many as these (see ``by_halves``); of
    images too few for halves there is none.
    ``by_group`` says of groups of real images what of them is recalled and covered.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    clipped_density: Estimate
    clipped_coverage: Estimate
    realism: Estimate
    n_real: int
    n_generated: int
    realism_of: np.ndarray
    by_group: Mapping[int, GroupCoverage] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``."""
        result: dict[str, Any] = {"n_real": self.n_real, "n_generated": self.n_generated}
        for name in (*FIGURES, *_OTHERS):
            result |= getattr(self, name).to_json(name)
        groups = [{"group": number, **one.to_json()} for number, one in self.by_group.items()]
        result |= {"by_group": groups} if groups else {}
        return {**result, "record": dict(self.record)}


@dataclass(frozen=True)
class GroupCoverage:
    """What of the ``n`` real images of a group is recalled and covered."""

    n: int
    recall: Estimate
    coverage: Estimate

    def to_json(self) -> dict[str, Any]:
        """Both figures, each with ``_low`` and ``_high``."""
        return {"n": self.n, **self.recall.to_json("recall"), **self.coverage.to_json("coverage")}


def measure_coverage(
    real: Tensor,
    generated: Tensor,
    *,
    k: int = 3,
    k_density: int = 5,
    units: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
) -> Coverage:
    """The figures of codes ``(n, d)`` of real and ``(m, d)`` of generated images.

    Precision, recall and realism take the ``k``-th neighbour, the others the ``k_density``-th, as
    published. Distances are Euclidean, in float64; memory holds a block of them. The real images
    are of some ``units`` ``(n,)``, without which each is one; none should be another's copy. Some
    figures are given by ``groups`` ``(n,)`` of them, too.

    Example:
        >>> codes = torch.eye(8)
        >>> measure_coverage(codes, codes, seed=0).precision.value
        1.0

    Raises:
        ModelError: the codes have different sizes, or are too few for so many neighbours.
    """
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise ModelError(
            "coverage compares codes (n, d) and (m, d) of one encoder, not "
            f"{tuple(real.shape)} and {tuple(generated.shape)}"
        )
    fewest, most = min(len(real), len(generated)), max(k, k_density)
    if min(k, k_density) < 1 or fewest <= most:
        raise ModelError(
            f"coverage by {k} and {k_density} neighbours takes at least {max(most, 1) + 1} images "
            f"of each kind and at least 1 neighbour, not {fewest} images: take more images"
        )
    first, second = real.double(), generated.double()
    whole = count_neighbours(first, second, k, k_density)
    split = _split(len(first), len(second), units, most, seed)
    parts = [
        (one, count_neighbours(first[one], second[other], k, k_density)) for one, other in split
    ]
    figures = _figures(whole, k_density)
    of_parts = [_figures(part, k_density) for _, part in parts]
    estimates = {
        name: _estimate(name, value, [one[name] for one in of_parts], len(real), len(generated))
        for name, value in figures.items()
    }
    return Coverage(
        **estimates,
        n_real=len(real),
        n_generated=len(generated),
        realism_of=whole.realism,
        by_group={} if groups is None else _by_group(groups, whole, parts),
        record={"k": k, "k_density": k_density, **(record or {})},
    )


def _split(
    n: int, m: int, units: np.ndarray | None, most: int, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """The positions of real and of generated images in halves: the first of a split, then the
    second; none of images too few for ``most`` neighbours in each.
    """
    if min(n, m) // 2 <= most:
        return []
    chance = np.random.default_rng(seed)
    return [
        (torch.from_numpy(one), torch.from_numpy(other))
        for _ in range(SPLITS)
        for one, other in zip(halves(n, units, chance), halves(m, None, chance), strict=True)
    ]


def _figures(found: Neighbours, k: int) -> dict[str, float]:
    """The figures, by name."""
    own, shared = float(found.own_dense.mean()), float(found.shared.mean())
    return {
        "precision": float(found.precise.mean()),
        "recall": float(found.recalled.mean()),
        "density": float(found.dense.mean()),
        "coverage": float(found.covered.mean()),
        "clipped_density": float(found.clipped_dense.mean()) / own if own > 0 else math.nan,
        "clipped_coverage": good_share(shared, len(found.shared), len(found.precise), k),
        "realism": float(np.median(found.realism)),
    }


def _by_group(
    groups: np.ndarray, whole: Neighbours, parts: Sequence[tuple[Tensor, Neighbours]]
) -> dict[int, GroupCoverage]:
    """The figures of each group of real images, the least covered first."""
    rows = {}
    for number in np.unique(groups):
        mine = groups == number
        recall, coverage = (
            _share(
                getattr(whole, name)[mine].mean(),
                int(mine.sum()),
                [_mean(getattr(part, name)[mine[one.numpy()]]) for one, part in parts],
            )
            for name in ("recalled", "covered")
        )
        rows[int(number)] = GroupCoverage(int(mine.sum()), recall, coverage)
    return dict(sorted(rows.items(), key=lambda row: row[1].coverage.value))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _share(share: float, n: int, of_parts: Sequence[float]) -> Estimate:
    """A share of ``n`` images with its interval, from the shares in both halves in turn."""
    found = np.array(of_parts)
    return share_by_halves(float(share), n, found[::2], found[1::2])


def _estimate(name: str, value: float, of_parts: Sequence[float], n: int, m: int) -> Estimate:
    """A figure with its interval, from its values in both halves in turn."""
    if name in _SHARES:
        return _share(value, m if name == "precision" else n, of_parts)
    found = np.array(of_parts)
    return by_halves(value, found[::2], found[1::2], high=1.0 if name in CLIPPED else math.inf)
