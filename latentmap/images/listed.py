"""Lists of images by their names, such as those to take alone or to leave out."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import read_regular, reading
from latentmap.images.naming import match_names
from latentmap.images.tables import text_lines
from latentmap.limits import Allowance
from latentmap.printing import shortened

_ID = 200  # Bytes of memory that a name takes until its image is found.


@dataclass(frozen=True, eq=False)
class Listed:
    """Which images a list names, as booleans ``chosen`` ``(n,)``; and of its ``n_names`` those that
    are of no image, ``unknown``.
    """

    title: str
    chosen: np.ndarray
    n_names: int
    unknown: tuple[str, ...]

    @property
    def told(self) -> str:
        """A line on names that are of no image, empty where there are none."""
        if not self.unknown:
            return ""
        return (
            f"{len(self.unknown)} of the {self.n_names} names in {self.title} are of none of the "
            f"{len(self.chosen)} images ({shortened(min(self.unknown))} is one)"
        )


def read_listed(ids: np.ndarray, path: str | Path) -> Listed:
    """Which of the images with some ``ids`` ``(n,)`` a file names, by full path or base name.

    It is a text, one name a line; or a ``.csv``, of which the first column has the names, and the
    first line is a head unless it names an image.

    Raises:
        ImageError: the file cannot be read, or has no names.
    """
    path = Path(path)
    names = _names_in(path)
    if not names:
        raise ImageError(f"{path} names no image: it needs one name a line")
    chosen, unknown = match_names(ids, set(names))
    if path.suffix.lower() == ".csv" and names[0] in unknown:
        unknown.discard(names[0])
        names = names[1:]
    return Listed(path.name, chosen, len(set(names)), tuple(unknown))


def _names_in(path: Path) -> list[str]:
    try:
        data = read_regular(path)
    except OSError as error:
        raise ImageError(
            f"{path} cannot be read as a list of images ({error.strerror}): give a text, one name "
            "a line"
        ) from error
    allowance = Allowance(str(path), len(data), ImageError)
    is_csv = path.suffix.lower() == ".csv"
    names: list[str] = []
    what = "cannot be read as a list of images"
    with reading(path, ImageError, "give one name a line", what=what):
        for line in text_lines(data, f"{path} {what}: it must be text in UTF-8"):
            allowance.spend(_ID + len(line), f"{len(names) + 1} names")
            names.append(next(csv.reader([line]))[0].strip() if is_csv else line.strip())
    return [name for name in names if name]
