"""Where a generator is blind: groups of images that it reproduces worse than the others.

Shapes: ``n`` images, ``m`` of the generator's own, ``d`` variables of the encoder, ``k`` groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from latentmap.chances import SIGNIFICANCE, holm
from latentmap.codes import one_of_each
from latentmap.images.group_ratios import FEWEST, GroupRatio
from latentmap.intervals import Estimate, defined, mean_estimate

EXCESS = 1.5
Verdict = Literal["blind", "not blind", "not told", "too few"]
# The squared error of rounding to 8 bits.
_ROUNDING = 1 / 255**2 / 12
_PERMUTATIONS = 9999
_PERMUTED_NUMBERS = 4_000_000  # Errors at a time: 32 MB.


@dataclass(frozen=True, eq=False)
class Cells:
    """Groups of codes: ``number`` ``(n,)`` of the group of each, and their centers ``(k, d)``."""

    number: np.ndarray
    centers: Tensor

    def nearest(self, codes: Tensor) -> np.ndarray:
        """The number of the group whose center is nearest to each code, ``(m,)``."""
        return torch.cdist(codes.float(), self.centers).argmin(1).numpy()


def group_codes(codes: Tensor, *, seed: int = 0) -> Cells:
    """Groups of similar codes ``(n, d)`` by k-means, as many as the square root of ``n``."""
    from sklearn.cluster import KMeans

    distinct = len(torch.unique(codes, dim=0))
    n_cells = min(max(2, round(math.sqrt(len(codes)))), distinct)
    found = KMeans(n_cells, n_init=4, random_state=seed % 2**32).fit(codes.numpy())
    return Cells(found.labels_, torch.from_numpy(found.cluster_centers_).float())


@dataclass(frozen=True, eq=False)
class SectorErrors:
    """The error in one sector, or group, of the images.

    ``positions`` are its images, worst first, of ``n_units`` units, and ``mse`` their mean error.
    ``excess`` is how many times as bad they are as all other images, and ``p_value`` the chance
    that as many images, drawn from all, are as bad; None where there are less than 10 units, of the
    sector or the rest, of which nothing is told. The sector is ``blind`` when the chance is too
    small, all sectors that are told of considered, the excess is at least ``EXCESS``, and the error
    is above that of all images.
    ``own_share`` is the share of the generator's own images that lie there, beside the ``share`` of
    these images; None where it is not known.
    """

    number: int
    positions: np.ndarray
    n_units: int
    mse: Estimate
    excess: float
    share: float
    own_share: float | None
    p_value: float | None
    blind: bool

    @property
    def verdict(self) -> Verdict:
        """What follows; of a sector that is not blind nothing is told but that."""
        if self.p_value is None:
            return "too few"
        return "blind" if self.blind else "not told"

    def to_json(self) -> dict[str, Any]:
        """All of it, with the number of images in place of these."""
        return {
            "sector": self.number,
            "n": len(self.positions),
            "n_units": self.n_units,
            **self.mse.to_json("mse"),
            "excess": self.excess,
            "share": self.share,
            "own_share": self.own_share,
            "p_value": self.p_value,
            "blind": self.blind,
        }


def errors_by_sector(
    mse: np.ndarray,
    sector: np.ndarray,
    *,
    reference: np.ndarray | None = None,
    own_sector: np.ndarray | None = None,
    units: np.ndarray | None = None,
    seed: int = 0,
) -> list[SectorErrors]:
    """The errors ``(n,)`` in each sector that has images, worst first.

    Some images are harder than others for any model, such as those with many strokes. So how bad
    one is, is its error over ``reference`` ``(n,)``, its error in another model; without one it is
    the error itself. A sector of a few images has a wide scatter, and the worst of many sectors is
    bad by chance alone. So a sector is compared with as many images drawn from all, and the level
    of 5 % is that of any sector being taken for blind (Holm 1979); of less than 10 units, of a
    sector or of the rest, nothing is told. ``own_sector`` ``(m,)`` are the
    sectors of the generator's own images, ``units`` ``(n,)`` of what units the
    images are; without them each is one.

    Example:
        >>> mse = np.array([0.1, 0.2] * 20 + [0.5, 0.6] * 5)
        >>> worst, other = errors_by_sector(mse, np.arange(50) // 40, seed=0)
        >>> worst.number, len(worst.positions), worst.blind, other.blind
        (1, 10, True, False)
    """
    units = np.arange(len(mse)) if units is None else units
    numbers, place = np.unique(sector, return_inverse=True)
    counts = np.bincount(place)
    bad = mse if reference is None else mse / np.maximum(reference, _ROUNDING)
    means = np.bincount(place, bad) / counts
    p_values = np.full(len(numbers), np.nan)
    # A test takes one image of a unit: images of one are drawn together, not by chance.
    independent = one_of_each(units, seed=seed)
    drawn, drawn_place = np.unique(place[independent], return_inverse=True)
    p_values[drawn] = _chances(bad[independent], drawn_place, seed)
    n_units = [len(np.unique(units[place == i])) for i in range(len(numbers))]
    n_others = [len(np.unique(units[place != i])) for i in range(len(numbers))]
    p_values[np.minimum(n_units, n_others) < FEWEST] = np.nan
    found = []
    for index, (number, chance) in enumerate(zip(numbers, holm(p_values), strict=True)):
        mine = np.flatnonzero(place == index)
        others = (bad.sum() - bad[mine].sum()) / max(len(bad) - len(mine), 1)
        # Where there is nothing to compare with, or no error at all, nothing is worse.
        excess = float(means[index] / others) if others > 0 else 1.0
        found.append(
            SectorErrors(
                number=int(number),
                positions=mine[np.argsort(-bad[mine], kind="stable")],
                n_units=n_units[index],
                mse=mean_estimate(mse[mine], units[mine], seed=seed),
                excess=excess,
                share=len(mine) / len(mse),
                own_share=None if own_sector is None else float((own_sector == number).mean()),
                p_value=defined(float(p_values[index])),
                blind=bool(
                    chance <= SIGNIFICANCE and excess >= EXCESS and mse[mine].mean() > mse.mean()
                ),
            )
        )
    return sorted(found, key=lambda one: -one.excess)


def verdict(one: GroupRatio) -> Verdict:
    """What follows for a group.

    ``too few``: there are less than 10 images, or units of them, of it or the rest. ``blind``: the
    ratio is at least 1.5 and no chance, and the error itself is above that of the rest. ``not
    blind``: the interval of the ratio stays below 1.5, or that of the errors below 1. Else it is
    ``not told``.
    """
    if one.corrected is None:
        return "too few"
    if one.ratio.value >= EXCESS and one.differs and one.plain.value > 1:
        return "blind"
    return "not blind" if one.ratio.high < EXCESS or one.plain.high < 1 else "not told"


def _chances(bad: np.ndarray, place: np.ndarray, seed: int) -> np.ndarray:
    """For each sector, the chance ``(k,)`` that so many of all images are so bad on average."""
    counts = np.bincount(place)
    means = np.bincount(place, bad) / counts
    generator = np.random.default_rng(seed)
    starts = np.cumsum(counts) - counts
    as_large = np.zeros(len(counts), dtype=np.int64)
    step = max(1, _PERMUTED_NUMBERS // len(bad))
    # Equal sums in another order are equal but for their rounding.
    least = means * (1 - 1e-12)
    for start in range(0, _PERMUTATIONS, step):
        rounds = min(step, _PERMUTATIONS - start)
        shuffled = generator.permuted(np.tile(bad, (rounds, 1)), axis=1)
        as_large += (np.add.reduceat(shuffled, starts, axis=1) / counts >= least).sum(0)
    return (1 + as_large) / (1 + _PERMUTATIONS)
