"""How bright some images are: whether their values use the range that they are said to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.containers import Container, Extent
from latentmap.images.values import likely_range

LOOKED_AT = 256
# A sensor of 14 bits in 16 reaches a quarter of white; no picture in daylight stays below it.
_DARK = 0.25 * (1 + 1 / 255)
# So many pictures without anything in them are a mistake; fewer may well be meant.
_FLAT, _BLACK = 10, 3


@dataclass(frozen=True)
class Brightness:
    """The values of ``looked`` of ``n`` images, an extent for each meaning of white."""

    extents: tuple[Extent, ...]
    looked: int
    n: int

    @property
    def is_dark(self) -> bool:
        """Whether nothing in any of them is brighter than a quarter of white, and that is strange:
        of few pictures that show nothing it is not.
        """
        # What is below black, or no number, is an error that others meet.
        if not self.extents or not all(
            0 <= e.low <= e.high <= _DARK * e.white for e in self.extents
        ):
            return False
        enough = _BLACK if all(e.high <= 0 for e in self.extents) else _FLAT
        return self.looked >= enough or not all(e.flat for e in self.extents)

    def __str__(self) -> str:
        parts = [
            f"{e.low:.6g} to {e.high:.6g}, white is {e.white:.15g}"
            for e in sorted(self.extents, key=lambda e: e.white)
        ]
        part = "" if self.looked == self.n else f" (in {self.looked} of them)"
        return "; ".join(parts) + part

    def remark(self, title: str, *, packed: bool) -> str | None:
        """A line that says that the images are all but black, and what would help; None if not.

        ``packed`` images cannot be given another range.
        """
        if not self.is_dark:
            return None
        brightest = max(self.extents, key=lambda e: e.high / e.white)
        count = f"its {self.n}" if self.looked == self.n else f"{self.looked} of its {self.n}"
        if brightest.high <= 0:
            return f"{title} is black: no value of {count} images is above {brightest.high:.6g}"
        share = brightest.high * 255 / brightest.white
        eight = "" if brightest.white == 255 else f" ({round(share)} of 255)"
        likely = likely_range(0, brightest.high)
        how = f"pack the original images with --range {likely}" if packed else f"--range {likely}"
        kind = "black and white" if likely.white == 1 else f"{likely.white:.15g} as white"
        return (
            f"{title} is all but black: the brightest value of {count} images is "
            f"{brightest.high:.6g} of {brightest.white:.15g}{eight}; to see {kind}: {how}"
        )


def look_at(
    container: Container, index: np.ndarray, *, most: int = LOOKED_AT, only_if_dark: bool = False
) -> Brightness:
    """The brightness of images of a container, at most so many and evenly among ``index``.

    With ``only_if_dark`` the first bright image ends it. Images that cannot be read are left out.
    """
    found: dict[float, Extent] = {}
    chosen = np.unique(np.linspace(0, len(index) - 1, min(most, len(index))).astype(np.int64))
    looked = 0
    for place in chosen:
        try:
            extent = container.extent(int(index[place]))
        except ImageError:
            # Whoever needs the pixels meets the error.
            continue
        looked += 1
        found[extent.white] = _joined([found.get(extent.white, extent), extent])
        if only_if_dark and extent.high > _DARK * extent.white:
            break
    return Brightness(tuple(found.values()), looked, len(index))


def _joined(extents: Sequence[Extent]) -> Extent:
    # What is no number must stay so, which Python's own min and max leave to the order.
    return Extent(
        float(np.min([e.low for e in extents])),
        float(np.max([e.high for e in extents])),
        extents[0].white,
        all(e.flat for e in extents),
    )
