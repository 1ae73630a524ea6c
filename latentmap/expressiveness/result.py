"""The benchmark of what a generator cannot make: how well it reproduces images, its own and others.

Asperti & Tonelli, "Comparing the latent space of generative models" (arXiv 2207.06812), section on
the expressiveness of StyleGAN. Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h,
w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor

from latentmap.expressiveness.blindness import SectorErrors, errors_by_sector
from latentmap.expressiveness.coverage import Coverage
from latentmap.images.spooled import SpooledImages
from latentmap.intervals import Estimate, estimate_of, mean_estimate, resample, shares
from latentmap.inversion import InversionMethod
from latentmap.report import Shown, Table

# Of the own images' variance: what a search may miss and still be believed.
CALIBRATED = 0.05
MAPPED: Literal["mapped"] = "mapped"
_BLOCK = 64  # Images at a time.


@dataclass(frozen=True, eq=False)
class Reproduction:
    """How well one method reproduces the images of a set.

    ``codes`` ``(n, d)``, and of every image ``mse``, in [0, 1], and ``ssim`` ``(n,)``. The means
    are over the images at ``judged`` ``(k,)``: all, but of mapped codes only those that the map has
    not seen; ``left_out`` says how many it has, and why. ``ratio`` is the mean error over that of
    the generator's own images by the same method; None for these, and for mapped codes.
    """

    method: InversionMethod | Literal["mapped"]
    codes: Tensor
    mse: np.ndarray
    ssim: np.ndarray
    judged: np.ndarray
    mean_mse: Estimate
    mean_ssim: Estimate
    ratio: Estimate | None
    seconds: float
    left_out: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The figures, each with ``_low`` and ``_high``; ``mse_signed`` is the error of images in
        [-1, 1], four times as large.
        """
        signed = Estimate(*(4 * number for number in self.mean_mse))
        result: dict[str, Any] = {
            "n": len(self.judged),
            "left_out": dict(self.left_out),
            **self.mean_mse.to_json("mse"),
            **signed.to_json("mse_signed"),
            **self.mean_ssim.to_json("ssim"),
            "seconds": self.seconds,
        }
        return result if self.ratio is None else {**result, **self.ratio.to_json("ratio")}


@dataclass(frozen=True, eq=False)
class SetScores:
    """How well a generator reproduces one set, by one or several methods.

    ``images`` are its images as the generator sees them, on disk: ``images[:8]`` are the first of
    them, float32 in [0, 1]. They are of some ``units`` ``(n,)``. ``mse`` ``(n,)`` is the least
    error of any method but mapped codes: the ``limit``, where a search is among them.
    ``encoder_gap`` is what the network loses against the limit, ``map_gap`` what mapped codes lose
    against those of the network; each is None where one of the two is missing.
    """

    name: str
    ids: np.ndarray
    images: SpooledImages
    reproductions: Mapping[str, Reproduction]
    mse: np.ndarray
    units: np.ndarray
    limit: Estimate | None
    encoder_gap: Estimate | None
    map_gap: Estimate | None
    sectors: Sequence[SectorErrors] = ()
    variables: tuple[int, ...] = ()
    coverage: Coverage | None = None
    skipped: tuple[str, ...] = ()

    @property
    def worst_first(self) -> np.ndarray:
        """The positions of all images by their error, the worst first."""
        return np.argsort(-self.mse, kind="stable")

    @property
    def best(self) -> Reproduction:
        """The reproduction with the least mean error; not of mapped codes."""
        return min(
            (one for name, one in self.reproductions.items() if name != MAPPED),
            key=lambda one: one.mean_mse.value,
        )

    def to_json(self) -> dict[str, Any]:
        """All figures, and the errors of every image, worst first."""
        split = {"limit": self.limit, "encoder_gap": self.encoder_gap, "map_gap": self.map_gap}
        figures: dict[str, Any] = {}
        for name, estimate in split.items():
            figures |= {name: None} if estimate is None else estimate.to_json(name)
        return {
            "target": self.name,
            "n": len(self.ids),
            "n_units": len(np.unique(self.units)),
            "methods": {name: one.to_json() for name, one in self.reproductions.items()},
            **figures,
            "variables": list(self.variables),
            "sectors": [
                {**one.to_json(), "ids": self.ids[one.positions].tolist()} for one in self.sectors
            ],
            "coverage": None if self.coverage is None else self.coverage.to_json(),
            "images": [
                {
                    "id": str(self.ids[i]),
                    **{name: float(one.mse[i]) for name, one in self.reproductions.items()},
                }
                for i in self.worst_first
            ],
            "skipped": list(self.skipped),
        }


@dataclass(frozen=True, eq=False)
class Expressiveness(Shown):
    """What one generator can and cannot make.

    ``name`` is that of the model, with more where several models have it. ``own`` are its own
    images, ``sets`` the others. ``calibration`` is the error of the search on the own images,
    which can be reproduced without any, over their variance: where it is above 5 %, the search does
    not find codes that exist, and what it says of other images is not ``reliable``. Both are None
    without a search.
    """

    name: str
    family: str
    space: str
    fingerprint: str
    own: SetScores
    sets: Sequence[SetScores]
    calibration: float | None
    record: Mapping[str, Any]

    def __repr__(self) -> str:
        names = ", ".join(scores.name for scores in (self.own, *self.sets))
        return f"<Expressiveness of {self.name}: {names}>"

    def tables(self) -> list[Table]:
        from latentmap.expressiveness.tables import bench_tables

        return bench_tables([self])

    @property
    def reliable(self) -> bool | None:
        """Whether the search can be believed on other images."""
        return None if self.calibration is None else self.calibration <= CALIBRATED

    def to_json(self) -> dict[str, Any]:
        """All figures, with what made them."""
        return {
            "model": self.name,
            "family": self.family,
            "space": self.space,
            "fingerprint": self.fingerprint,
            "calibration": self.calibration,
            "reliable": self.reliable,
            "own": self.own.to_json(),
            "targets": [scores.to_json() for scores in self.sets],
            "record": dict(self.record),
        }


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
    seed: int = 0,
    grouping: Grouping | None = None,
    skipped: tuple[str, ...] = (),
    coverage: Coverage | None = None,
) -> SetScores:
    """The figures of a set, and the split of its error; without ``units`` ``(n,)`` each image is
    one.
    """
    units = np.arange(len(ids)) if units is None else units
    mse = np.min([one.mse for method, one in found.items() if method != MAPPED], axis=0)
    searched = "search" in found or "hybrid" in found
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
        map_gap=(
            mean_estimate(
                (carried.mse - network.mse)[carried.judged], units[carried.judged], seed=seed
            )
            if carried and network
            else None
        ),
        sectors=[] if grouping is None else grouping.errors(mse, units, seed=seed),
        variables=() if grouping is None else grouping.variables,
        coverage=coverage,
        skipped=skipped,
    )


def calibrate(images: SpooledImages, found: Mapping[str, Reproduction]) -> float | None:
    """The error of the best search on the own images over their variance."""
    searches = [one for method, one in found.items() if method in ("search", "hybrid")]
    if not searches:
        return None
    return min(one.mean_mse.value for one in searches) / max(_variance(images), 1e-12)


def _variance(images: SpooledImages) -> float:
    """The variance of a pixel over images, in the mean of all pixels; by sums of whole numbers."""
    sums, squares = np.zeros(images.pixels(slice(0, 1)).shape[1:], np.int64), 0
    for start in range(0, len(images), _BLOCK):
        block = images.pixels(slice(start, start + _BLOCK)).astype(np.int64)
        sums += block.sum(0)
        squares += int(np.square(block).sum())
    spread = squares - float(np.square(sums, dtype=np.float64).sum()) / len(images)
    return spread / (len(images) - 1) / sums.size / 255**2


def ratio_estimate(
    mse: np.ndarray, own: np.ndarray, units: np.ndarray | None = None, *, seed: int = 0
) -> Estimate:
    """The mean of errors ``(n,)``, of images of some ``units`` ``(n,)``, over the mean of ``own``
    errors ``(m,)``, both resampled.
    """
    above, below = (
        resample(errors[None], of, seed=seed + number)
        for number, (errors, of) in enumerate(((mse, units), (own, None)))
    )
    every, drawn = (
        shares(getattr(above, name)[..., 0], getattr(below, name)[..., 0])
        for name in ("every", "drawn")
    )
    without = [
        shares(above.without[:, 0], np.full(len(above.without), below.every[0])),
        shares(np.full(len(below.without), above.every[0]), below.without[:, 0]),
    ]
    return estimate_of(float(every), drawn, without)
