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

from latentmap.expressiveness.blindness import SectorErrors, verdict
from latentmap.expressiveness.coverage import Coverage
from latentmap.expressiveness.detail import SMEARED
from latentmap.expressiveness.difficulty import Difficulty, Held
from latentmap.images.group_ratios import GroupRatio
from latentmap.images.spooled import SpooledImages
from latentmap.intervals import Estimate
from latentmap.inversion import InversionMethod
from latentmap.inversion.anywhere import Anywhere
from latentmap.report import Shown, Table

# Of the own images' variance: what a search may miss and still be believed.
CALIBRATED = 0.05
# Of the own images' variance: an own error below it says how long was searched, or how exact the
# model is, and a ratio to it says nothing of other images.
NEGLIGIBLE = 0.01
MAPPED: Literal["mapped"] = "mapped"


@dataclass(frozen=True, eq=False)
class Reproduction:
    """How well one method reproduces the images of a set.

    ``codes`` ``(n, d)``, and of every image ``mse``, in [0, 1], and ``ssim`` ``(n,)``; ``distance``
    ``(n,)`` is how far its code is from the mean of sampled ones, of which 99.9 % are no further
    than ``distance_limit``. ``anywhere`` is what a search finds that goes on beyond the range; None
    where none was held inside it. The means
    are over the images at ``judged`` ``(k,)``: all, but of mapped codes only those that the map has
    not seen; ``left_out`` says how many it has, and why. ``ratio`` is the mean error over that of
    the generator's own images by the same method; None for these, and for mapped codes. ``detail``
    is that of the pictures which a search found, see ``detail_of``; None of other methods.
    """

    method: InversionMethod | Literal["mapped"]
    codes: Tensor
    mse: np.ndarray
    ssim: np.ndarray
    distance: np.ndarray
    distance_limit: float
    judged: np.ndarray
    mean_mse: Estimate
    mean_ssim: Estimate
    ratio: Estimate | None
    seconds: float
    anywhere: Anywhere | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    detail: float | None = None

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
            "distance": float(np.median(self.distance)),
            "distance_largest": float(self.distance.max()),
            "distance_limit": self.distance_limit,
            "detail": self.detail,
            "n_beyond_border": None if self.anywhere is None else self.anywhere.n_gone_on,
        }
        return result if self.ratio is None else {**result, **self.ratio.to_json("ratio")}


@dataclass(frozen=True, eq=False)
class SetScores:
    """How well a generator reproduces one set, by one or several methods.

    ``images`` are its images as the generator sees them, on disk: ``images[:8]`` are the first of
    them, float32 in [0, 1]. They are of some ``units`` ``(n,)``. ``mse`` ``(n,)`` is the least
    error of any method but mapped codes: the ``limit``, where a search is among them. Where
    searches were held inside the range of the generator, codes of its network that lie outside do
    not count, and ``limit_anywhere`` is the mean of the least errors of any codes.
    ``encoder_gap`` is what the network loses against the limit, ``map_gap`` what mapped codes lose
    against those of the network; each is None where one of the two is missing. ``held`` are the
    errors with what they are held against, ``shares`` the first over the second, and ``against``
    how much harder the set is than random images, by the error; empty where there are none, and of
    these themselves. ``groups`` are those of the images by what is known of them, for each
    attribute, or crossing of some, that was asked for. ``detail`` is that of the images, see
    ``detail_of``; None where nothing was searched.
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
    held: Held
    limit_anywhere: Estimate | None = None
    shares: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    against: Mapping[str, Difficulty] = field(default_factory=dict)
    sectors: Sequence[SectorErrors] = ()
    variables: tuple[int, ...] = ()
    groups: Sequence[Sequence[GroupRatio]] = ()
    coverage: Coverage | None = None
    skipped: tuple[str, ...] = ()
    detail: float | None = None

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
        split = {"limit": self.limit, "limit_anywhere": self.limit_anywhere}
        split |= {"encoder_gap": self.encoder_gap, "map_gap": self.map_gap}
        figures: dict[str, Any] = {}
        for name, estimate in split.items():
            figures |= {name: None} if estimate is None else estimate.to_json(name)
        return {
            "target": self.name,
            "n": len(self.ids),
            "n_units": len(np.unique(self.units)),
            "methods": {name: one.to_json() for name, one in self.reproductions.items()},
            "detail": self.detail,
            **figures,
            "shares": {
                kind: {
                    key: number
                    for name, one in of.items()
                    for key, number in one.to_json(name).items()
                }
                for kind, of in self.shares.items()
            },
            "against": {
                kind: {"target": one.beside, **one.to_json()} for kind, one in self.against.items()
            },
            "variables": list(self.variables),
            "sectors": [
                {**one.to_json(), "ids": self.ids[one.positions].tolist()} for one in self.sectors
            ],
            "groups": [
                {
                    **one.to_json(),
                    "verdict": verdict(one),
                    "ids": self.ids[one.positions].tolist(),
                }
                for family in self.groups
                for one in family
            ],
            "coverage": None if self.coverage is None else self.coverage.to_json(),
            "images": [
                {
                    "id": str(self.ids[i]),
                    **{name: float(one.mse[i]) for name, one in self.reproductions.items()},
                    **self._places(i),
                }
                for i in self.worst_first
            ],
            "skipped": list(self.skipped),
        }

    def _places(self, i: int) -> dict[str, float]:
        """How far the codes of an image lie out, and its errors beyond the range."""
        found = {}
        for name, one in self.reproductions.items():
            found[f"{name}_distance"] = float(one.distance[i])
            if one.anywhere is not None:
                found[f"{name}_anywhere"] = float(one.anywhere.mse[i])
                found[f"{name}_anywhere_distance"] = float(one.anywhere.distance[i])
        return found


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

    def detail(self, scores: SetScores) -> float | None:
        """The detail of the pictures that the best search found for a set, over what they could
        have: that of those for the own images, or of the images themselves, where that is less.
        None without a search, or where there is none to have.
        """
        shares = []
        for name, one in scores.reproductions.items():
            same = self.own.reproductions.get(name)  # Codes are mapped for the sets alone.
            own = None if same is None else same.detail
            if one.detail is None or own is None or scores.detail is None:
                continue
            if most := min(own, scores.detail):
                shares.append((one.mean_mse.value, one.detail / most))
        return min(shares)[1] if shares else None

    def doubts(self, scores: SetScores) -> bool:
        """Whether the search cannot be believed on a set: it is not reliable, or what it found are
        smears beside the generator's own pictures and the images.
        """
        detail = self.detail(scores)
        return self.reliable is False or (detail is not None and detail < SMEARED)

    def tells_ratio(self, method: str) -> bool:
        """Whether the own images' error by a method is so large that a ratio to it says anything:
        1 % of their variance, at least.
        """
        own = self.own.reproductions[method].mean_mse.value
        return own >= NEGLIGIBLE * float(self.own.held.wholes["variance"].mean())

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
            "targets": [
                {
                    **scores.to_json(),
                    "detail_share": self.detail(scores),
                    "doubted": self.doubts(scores),
                }
                for scores in self.sets
            ],
            "record": dict(self.record),
        }
