"""Index: the images of a folder, listed once into a text file, so that nobody walks it again.

A line of JSON says which folder it is and how many images there are. The paths follow, one a line,
in natural order; and at the end is a line of JSON with the place of each 4096th, so that any of
them are found without the others::

    {"format": "latentmap index", "version": 1, "folder": "faces", "images": 2, "bytes": 12}
    1.jpg
    2.jpg
    {"places": [0]}

The folder is relative to that of the file, where it lies there.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import Identity, identity_of, open_regular, parse_json, reading
from latentmap.images.naming import is_plain_path, ordered_ids
from latentmap.images.values import ValueRange
from latentmap.limits import Allowance
from latentmap.printing import printable

FORMAT, VERSION = "latentmap index", 1
STEP = 4096  # Paths from one place that is noted to the next.
INDEX = ".index"
_HEAD = 1 << 16  # Bytes: a path has 4096.
_LINE = 4097  # Bytes of the longest path, and the end of its line.
_TAIL, _PLACE = 64, 24  # Bytes of the last line, and more for each place.


@dataclass(frozen=True, eq=False)
class Index:
    """An index file: ``folder`` holds ``count`` images; ``places`` are where every 4096th path
    begins, and at last where they end. ``value_range`` is that of the images, where a user says it.
    """

    path: Path
    folder: Path
    count: int
    places: np.ndarray
    identity: Identity
    value_range: ValueRange | None = None

    def ids(self, start: int, stop: int) -> np.ndarray:
        """The paths of images ``start`` to ``stop``.

        Raises:
            ImageError: the file cannot be read, was changed, or holds what is no path of an image
                in a folder.
        """
        first, last = start // STEP, -(-stop // STEP)
        low, high = int(self.places[first]), int(self.places[last])
        # As of the names of a folder.
        allowance = Allowance(str(self.path), 8 * (high - low), ImageError)
        with _reading(self.path), open_regular(self.path) as file:
            if identity_of(file) != self.identity:
                raise ImageError(f"{self.path} was written to meanwhile: begin again")
            file.seek(low)
            names: list[str] = []
            # A step at a time: of a file with holes no more is read than the first of them.
            for step in range(first, last):
                size = int(self.places[step + 1] - self.places[step])
                # Of names that are no UTF-8 the bytes are kept, as of the folder itself.
                some = os.fsdecode(file.read(size)).split("\n")
                if some.pop() or len(some) != min(STEP, self.count - step * STEP):
                    raise ValueError("it has another number of paths than it says")
                names += some
            for name in names:
                if not is_plain_path(name):
                    _require_path(name)
            if len({*names}) < len(names):
                twice = next(one for one, n in Counter(names).items() if n > 1)
                raise ValueError(f"it has {twice!r} twice")
        wanted = names[start - first * STEP : stop - first * STEP]
        return ordered_ids(wanted, allowance)


def open_index(path: Path, value_range: ValueRange | None = None) -> Index:
    """An index file.

    Raises:
        ImageError: it is none, was changed, or its folder is gone.
    """
    with _reading(path), open_regular(path) as file:
        identity = identity_of(file)
        line = file.readline(_HEAD)
        head = parse_json(line)
        if head.get("format") != FORMAT:
            raise ValueError("it does not begin as one")
        if head.get("version") != VERSION:
            version = printable(str(head.get("version")))
            raise ImageError(
                f"{path} is an index of version {version}, this latentmap reads version {VERSION}: "
                "make it anew"
            )
        folder, count, size = (head.get(name) for name in ("folder", "images", "bytes"))
        if not isinstance(folder, str) or type(count) is not int or type(size) is not int:
            raise ValueError("it does not say what it holds")
        if not 0 < count <= size <= identity.size:
            raise ValueError("it does not hold what it says")
        file.seek(len(line) + size)
        most = _TAIL + _PLACE * -(-count // STEP)
        last = file.read(most + 1)
        if len(last) > most:
            raise ValueError(f"it has more than {most} bytes after its paths")
        noted = parse_json(last).get("places")
        places = np.array([*noted, size], np.int64) if isinstance(noted, list) else np.empty(0)
        if len(places) != -(-count // STEP) + 1 or places[0] != 0 or (np.diff(places) <= 0).any():
            raise ValueError("the places of its paths are missing")
        if (np.diff(places) > STEP * _LINE).any():
            raise ValueError(f"from one of its places to the next is more than {STEP} paths take")
    where = path.absolute().parent / folder
    if not where.is_dir():
        raise ImageError(
            f"the folder of {path}, {where}, is not there: bring it back, or make an index of the "
            "folder that there is (latentmap images index)"
        )
    return Index(path, where, count, places + len(line), identity, value_range)


_ADVICE = "make it anew (latentmap images index)"
_reading = partial(
    reading, error=ImageError, advice=_ADVICE, what="is no index of images, or was changed"
)


def _require_path(name: str) -> None:
    parts = name.split("/")
    if "" in parts or ".." in parts or "." in parts or "\0" in name:
        raise ValueError(f"{name!r} is no path of an image in its folder")
