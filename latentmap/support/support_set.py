"""SupportSet: a few images far apart in the latent space of a model, kept in a file.

Shapes: ``n`` images, ``d`` latent variables, ``2^k`` sectors; pixels are uint8 ``(n, h, w, c)``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes import Codes, Space
from latentmap.codes.channel_means import channel_means, channel_space
from latentmap.errors import SupportError
from latentmap.files import reading
from latentmap.frames import Frame
from latentmap.images import ImageSource, View
from latentmap.report import Shown, Table
from latentmap.report.words import groups_in_words
from latentmap.support.finding import find_by_content, read_pixels
from latentmap.support.sectors import MOST_VARIABLES, Sectors
from latentmap.support.support_file import MAYBE, read_support, write_support


@dataclass(frozen=True, eq=False)
class SupportSet(Shown):
    """Images chosen in ``space``, with what chose them; sorted by sector, the fill-up last.

    ``ids`` ``(n,)``, ``digests`` ``(n, 16)`` of their contents, ``codes`` ``(n, d)`` float32.
    ``sector`` ``(n,)`` is the number of the sector that an image stands for (see ``Sectors``; 0
    where there are no leading variables), and ``reach`` ``(n,)`` how far its code reaches into it.
    ``relaxed`` ``(n,)`` marks images that the strategy ``sectors`` took although they are no
    members: their reach is not above the threshold. ``filled`` ``(n,)`` marks those of its fill-up,
    beyond one of each sector.

    ``occupancy`` ``(2^k,)`` counts the members of every sector among the ``n_candidates`` images
    that could be chosen; ``orthants`` ``(2^k,)`` counts them at threshold 0, where every image is a
    member of one. ``member_ids`` ``(m,)``, ``member_digests`` ``(m, 16)`` and ``member_sectors``
    ``(m,)`` are all members, chosen or not; none where there are no leading variables.
    ``settings`` say what made the set.

    The candidates are of ``n_units`` units (see ``units_of``). Where these are fewer,
    ``unit_occupancy`` and ``unit_orthants`` ``(2^k,)`` count one random image of each.
    ``images`` are the pixels as the model sees them, where the file holds them.
    """

    ids: np.ndarray
    digests: np.ndarray
    codes: np.ndarray
    sector: np.ndarray
    reach: np.ndarray
    relaxed: np.ndarray
    filled: np.ndarray
    space: Space
    frame: Frame
    settings: Mapping[str, Any]
    occupancy: np.ndarray
    orthants: np.ndarray
    n_candidates: int
    member_ids: np.ndarray
    member_digests: np.ndarray
    member_sectors: np.ndarray
    n_units: int
    images: np.ndarray | None = None
    unit_occupancy: np.ndarray | None = None
    unit_orthants: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<SupportSet: {self.summary}>"

    @property
    def summary(self) -> str:
        """How many images of how many, how they were chosen, and in which space."""
        strategy = self.settings["strategy"]
        return f"{len(self)} images of {self.candidates}, by {strategy}, in {self.space}"

    @property
    def candidates(self) -> str:
        """How many images could be chosen, and of how many groups they are where that is fewer."""
        groups = f" (of {groups_in_words(self.n_units)})"
        return f"{self.n_candidates:,}" + groups * (self.n_units < self.n_candidates)

    def tables(self) -> list[Table]:
        from latentmap.support.spread import Spread
        from latentmap.support.tables import set_tables

        kept = self.settings.get("spread")
        return set_tables(self, None if kept is None else Spread.from_json(kept))

    @property
    def threshold(self) -> float:
        """What the reach of a member is above."""
        return float(self.settings["threshold"])

    @property
    def sectors_digest(self) -> str:
        """What its sectors are: equal where signs say the same of a code; none without leading
        variables.
        """
        if not self.settings["variables"]:
            return ""
        told = [self.settings[name] for name in ("variables", "center", "unit", "threshold")]
        written = json.dumps([self.space.fingerprint, self.space.kind, *told])
        return hashlib.blake2b(written.encode(), digest_size=16).hexdigest()

    @property
    def short(self) -> np.ndarray:
        """How far the reach of each image is below the threshold, ``(n,)``; 0 for members."""
        return np.maximum(self.threshold - self.reach, 0)

    @property
    def wrong_signs(self) -> np.ndarray:
        """Along how many leading variables each image does not lie on that side of the center on
        which the sector lies that it stands for, ``(n,)``.
        """
        center, unit = (np.array(self.settings[name]) for name in ("center", "unit"))
        sectors = Sectors(tuple(self.settings["variables"]), center, unit, self.threshold)
        coordinates = sectors.coordinates(channel_means(self.as_codes))
        towards = sectors.directions[self.sector] * coordinates
        return np.asarray((towards <= 0).sum(axis=1))

    @property
    def as_codes(self) -> Codes:
        """The codes of the images, as any other codes."""
        return Codes.from_array(
            self.ids,
            self.codes,
            space=self.space,
            frame=self.frame,
            data=str(self.settings["images"]),
            digests=self.digests,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but codes and pixels."""
        return {
            "settings": dict(self.settings),
            "space": self.space.to_json(),
            "frame": self.frame.to_json(),
            "n": len(self),
            "n_candidates": self.n_candidates,
            "n_units": self.n_units,
            "sectors": len(self.occupancy),
            "occupied": int((self.occupancy > 0).sum()),
            "occupancy": self.occupancy.tolist(),
            "relaxed": int(self.relaxed.sum()),
            "wrong_side": int((self.wrong_signs > 0).sum()),
            "most_short": float(self.short.max()),
            "filled": int(self.filled.sum()),
            "members": [
                {
                    "id": str(self.ids[i]),
                    "sector": int(self.sector[i]),
                    # Without leading variables there is no reach, written as infinite.
                    "reach": float(self.reach[i]) if np.isfinite(self.reach[i]) else None,
                    "short": short,
                    "wrong_signs": wrong,
                    "relaxed": bool(self.relaxed[i]),
                    "filled": bool(self.filled[i]),
                }
                for i, (short, wrong) in enumerate(
                    zip(self.short.tolist(), self.wrong_signs.tolist(), strict=True)
                )
            ],
        }

    def members_of(self, sector: int) -> np.ndarray:
        """The ids of all members of a sector: those that are in the set, then the others."""
        members = self.member_ids[self.member_sectors == sector]
        chosen = np.isin(members, self.ids)
        return np.concatenate([members[chosen], members[~chosen]])

    def take(self, index: np.ndarray) -> SupportSet:
        """The images at ``index`` (positions or a mask)."""
        rows = ("ids", "digests", "codes", "sector", "reach", "relaxed", "filled")
        images = None if self.images is None else self.images[index]
        return replace(self, images=images, **{name: getattr(self, name)[index] for name in rows})

    def select_in(self, images: ImageSource) -> ImageSource:
        """These images in a data set, in the order of the set, found by their contents.

        Raises:
            SupportError: the data set lacks some.
        """
        positions, found = find_by_content(images, self.digests)
        missing = np.flatnonzero(~found)
        if len(missing):
            raise SupportError(
                f"{len(missing)} of the {len(self)} images of the support set are not among the "
                f"{len(images)} of {images.path} ({self.ids[missing[0]]} is the first): it is a "
                "support set of other data; give the images that it was built from"
            )
        return images.subset(positions)

    def view_of(self, images: ImageSource) -> View:
        """What the model that it was built with sees of some images."""
        shape = self.settings.get("image_shape")
        if shape is None:
            return images.view(frame=self.frame.name, resize=self.frame.resize)
        return View(self.frame, (shape[1], shape[2]), shape[0])

    def pixels_in(self, images: ImageSource) -> np.ndarray:
        """These images in a data set as the model sees them, uint8 ``(n, h, w, c)``.

        Raises:
            SupportError: the data set lacks some, or one cannot be read.
        """
        view = self.view_of(images)
        pixels, skipped = read_pixels(self.select_in(images), view, on_error="skip")
        if skipped:
            raise SupportError(
                f"{len(skipped)} of the {len(self)} images of the support set cannot be read in "
                f"{images.path} ({skipped[0]} is the first): none of them can be skipped; repair "
                "them, or build the set again"
            )
        return pixels

    def other_members_in(self, images: ImageSource, sector: int, *, most: int) -> np.ndarray | None:
        """Members of a sector that are not in the set, at most the first ``most``, in a data set as
        the model sees them, uint8 ``(n, h, w, c)``, found by their contents; None where it has none
        that can be read.
        """
        wanted = (self.member_sectors == sector) & ~np.isin(self.member_ids, self.ids)
        positions, found = find_by_content(images, self.member_digests[wanted])
        positions = positions[found][:most]
        if len(positions) == 0:
            return None
        view = self.view_of(images)
        pixels, _ = read_pixels(images.subset(positions), view, on_error="skip")
        return pixels if len(pixels) else None

    def with_images(self, images: ImageSource) -> SupportSet:
        """This set with its pixels, out of the data set that it was built from.

        Raises:
            SupportError: the data set lacks some, or one cannot be read.
        """
        return replace(self, images=self.pixels_in(images))

    def with_settings(self, **more: Any) -> SupportSet:
        """This set, which says more of what made it (JSON)."""
        return replace(self, settings={**self.settings, **more})

    def save(self, path: str | Path) -> None:
        """Writes it to an HDF5 file, whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        record = {
            "settings": dict(self.settings),
            "space": self.space.to_json(),
            "frame": self.frame.to_json(),
            "n_candidates": self.n_candidates,
            "n_units": self.n_units,
        }
        for name in MAYBE:
            if (array := getattr(self, name)) is not None:
                arrays[name] = array
        write_support(Path(path), arrays, record)

    @classmethod
    def load(cls, path: str | Path) -> SupportSet:
        """The support set in a file that ``save`` wrote.

        Raises:
            SupportError: the file is missing, cut off, or holds no support set.
        """
        arrays, record = read_support(Path(path))
        what = "does not say what made its support set"
        with reading(path, SupportError, "build it again", what=what):
            space = Space.from_json(record["space"])
            if arrays["codes"].shape[1] != space.dim:
                raise ValueError(f"codes of {arrays['codes'].shape[1]} variables in {space}")
            n = record["n_candidates"]
            n_units = record.get("n_units", n)
            if not all(type(one) is int and 0 <= one <= _MOST_IMAGES for one in (n, n_units)):
                raise ValueError(f"numbers of images up to {_MOST_IMAGES} are expected")
            return cls(
                **arrays,
                space=space,
                frame=Frame.from_json(record["frame"]),
                settings=_checked(record["settings"], space, len(arrays["occupancy"])),
                n_candidates=n,
                n_units=n_units,
            )


_MOST_IMAGES = 10**12
# What is known of each threshold that was tried.
_THRESHOLD = ("threshold", "occupied", "members", "spread", "balance")
_ARRAYS = (
    "ids",
    "digests",
    "codes",
    "sector",
    "reach",
    "relaxed",
    "filled",
    "occupancy",
    "orthants",
    "member_ids",
    "member_digests",
    "member_sectors",
)


def _checked(settings: Any, space: Space, sectors: int) -> dict[str, Any]:
    """The settings, if those are there without which nothing can be said of a set.

    Raises:
        ValueError, LookupError, TypeError: one is missing or of another kind.
    """
    from latentmap.support.spread import Spread

    known: dict[str, Any] = {**settings}
    variables = known["variables"]
    shape = known.get("image_shape")
    wrong = {
        "strategy and images must be texts": not all(
            isinstance(known[name], str) for name in ("strategy", "images")
        ),
        "the threshold must be a number of at least 0": not 0 <= known["threshold"] < np.inf,
        "variables must be numbers of variables": not all(
            type(one) is int and 0 <= one < channel_space(space).dim for one in variables
        ),
        f"its variables must have {sectors} sectors": len(variables) > MOST_VARIABLES
        or 1 << len(variables) != sectors,
        "center and unit must have a number a variable": not all(
            _are_numbers(known[name], len(variables)) for name in ("center", "unit")
        ),
        "the posterior variance must have a number a variable": known.get("posterior_variance")
        is not None
        and not _are_numbers(known["posterior_variance"], len(variables)),
        "the thresholds must be numbers": not all(
            _are_numbers([one[name] for name in _THRESHOLD], len(_THRESHOLD))
            for one in known.get("thresholds", ())
        ),
        "the seed must be a number": type(known.get("seed", 0)) is not int,
        "the shape of images must be channels, height and width": shape is not None
        and not (len(shape) == 3 and all(type(side) is int and side > 0 for side in shape)),
    }
    for said, is_so in wrong.items():
        if is_so:
            raise ValueError(said)
    if known.get("spread") is not None:
        Spread.from_json(known["spread"])
    return known


def _are_numbers(values: Any, count: int) -> bool:
    """Whether these are so many numbers, none of them infinite."""
    numbers = np.array(values, np.float64)
    return numbers.shape == (count,) and bool(np.isfinite(numbers).all())
