"""From reproductions of a set to its figures: limits, gaps, shares, sectors.

Shapes: ``n`` images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from latentmap.expressiveness.blindness import SectorErrors, errors_by_sector
from latentmap.expressiveness.coverage import Coverage
from latentmap.expressiveness.detail import mean_detail
from latentmap.expressiveness.difficulty import Held
from latentmap.expressiveness.result import MAPPED, Reproduction, SetScores
from latentmap.images.attribute_groups import ImageGroups
from latentmap.images.group_ratios import group_ratios
from latentmap.images.spooled import SpooledImages
from latentmap.intervals import mean_estimate

_BATCH = 256


@dataclass(frozen=True, eq=False)
class Grouping:
    """The sectors or groups ``(n,)`` that the images of a set are in; see ``errors_by_sector``."""

    sector: np.ndarray
    reference: np.ndarray | None = None
    own_sector: np.ndarray | None = None
    variables: tuple[int, ...] = ()

    def errors(self, mse: np.ndarray, units: np.ndarray, *, seed: int) -> list[SectorErrors]:
        """The errors ``(n,)`` in each sector, worst first."""
        return errors_by_sector(
            mse,
            self.sector,
            reference=self.reference,
            own_sector=self.own_sector,
            units=units,
            seed=seed,
        )


def score_set(
    name: str,
    ids: np.ndarray,
    images: SpooledImages,
    found: Mapping[str, Reproduction],
    *,
    units: np.ndarray | None = None,
    wholes: Mapping[str, np.ndarray],
    seed: int = 0,
    grouping: Grouping | None = None,
    by: Sequence[ImageGroups] = (),
    skipped: tuple[str, ...] = (),
    coverage: Coverage | None = None,
) -> SetScores:
    """The figures of a set, and the split of its error; without ``units`` ``(n,)`` each image is
    one. ``wholes`` are what errors are held against; see ``Held``. ``by`` are groups of the images;
    what tells of only one is left out.
    """
    units = np.arange(len(ids)) if units is None else units
    mse, anywhere = least_errors(found)
    searched = "search" in found or "hybrid" in found
    errors = {"network": found["network"].mse} if "network" in found else {}
    errors |= {"limit": mse} if searched else {}
    errors |= {} if anywhere is None else {"anywhere": anywhere}
    held = Held(errors, wholes, units)
    network, carried = found.get("network"), found.get(MAPPED)
    return SetScores(
        name=name,
        ids=ids,
        images=images,
        reproductions=found,
        mse=mse,
        units=units,
        limit=mean_estimate(mse, units, seed=seed) if searched else None,
        encoder_gap=(
            mean_estimate(network.mse - mse, units, seed=seed) if searched and network else None
        ),
        detail=mean_detail(_in_parts(images)) if searched else None,
        map_gap=(
            mean_estimate(
                (carried.mse - network.mse)[carried.judged], units[carried.judged], seed=seed
            )
            if carried and network
            else None
        ),
        held=held,
        limit_anywhere=None if anywhere is None else mean_estimate(anywhere, units, seed=seed),
        shares=held.shares(seed=seed),
        sectors=[] if grouping is None else grouping.errors(mse, units, seed=seed),
        variables=() if grouping is None else grouping.variables,
        groups=[
            group_ratios(groups, mse, wholes.get("reference"), units=units, seed=seed)
            for groups in by
            if len(groups.names) > 1
        ],
        coverage=coverage,
        skipped=skipped,
    )


def least_errors(found: Mapping[str, Reproduction]) -> tuple[np.ndarray, np.ndarray | None]:
    """The least errors ``(n,)`` of any method but mapped codes: inside the range of the generator
    where searches were held there, and then also those of codes anywhere.
    """
    own = {method: one for method, one in found.items() if method != MAPPED}
    if all(one.anywhere is None for one in own.values()):
        return np.min([one.mse for one in own.values()], axis=0), None
    inside, anywhere = [], []
    for one in own.values():
        # Held codes are inside but for rounding; those of a network may lie anywhere.
        within = one.distance <= one.distance_limit * (1 + 1e-4)
        inside.append(np.where(within, one.mse, np.inf))
        anywhere.append(one.mse)
        if one.anywhere is not None:
            anywhere.append(one.anywhere.mse.double().numpy())
    return np.min(inside, axis=0), np.min(anywhere, axis=0)


def calibrate(variance: float, found: Mapping[str, Reproduction]) -> float | None:
    """The error of the best search on the own images over their ``variance``."""
    searches = [one for method, one in found.items() if method in ("search", "hybrid")]
    if not searches:
        return None
    return min(one.mean_mse.value for one in searches) / max(variance, 1e-12)


def _in_parts(images: SpooledImages) -> Iterator[Tensor]:
    for start in range(0, len(images), _BATCH):
        yield images[start : start + _BATCH]
