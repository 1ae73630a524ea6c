"""The ids of images: relative paths or indexes, unique, in the order in which people count."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np

from latentmap.errors import ImageError
from latentmap.limits import Allowance
from latentmap.printing import shortened

_NUMBER = re.compile(r"([0-9]+)")
_PLAIN_PATH = re.compile(r"[^/\\\0.][^/\\\0]*(?:/[^/\\\0.][^/\\\0]*)*")
_LONGEST_NAME = 4096  # Of a path, wherever files lie.
_COPIES = 4  # Of the ids: in the container and its source, and two while they are sorted.
_IGNORED = {"__MACOSX", "Thumbs.db"}


def natural_key(name: str) -> tuple[list[str], str]:
    """Sorts ``image2`` before ``image10``; names that differ only in leading zeros stay apart."""
    parts = _NUMBER.split(name)
    for place in range(1, len(parts), 2):
        digits = parts[place].lstrip("0")
        # The longer number is the larger one: no name has more digits than these four can count.
        parts[place] = f"{len(digits):04}{digits}"
    return parts, name


def natural_text(name: str) -> str:
    """A text that sorts as ``natural_key``, and takes less room; names hold no zero bytes."""
    parts, _ = natural_key(name)
    return "\0".join(parts) + "\0\0" + name


def id_array(names: list[str], allowance: Allowance) -> np.ndarray:
    """Names as an array of ids, in natural order.

    Raises:
        ImageError: one is longer than names of files are, or they take too much memory.
    """
    return ordered_ids(sorted(names, key=natural_key), allowance)


def ordered_ids(names: list[str], allowance: Allowance) -> np.ndarray:
    """Names as an array of ids, in the order in which they are.

    Raises:
        ImageError: as ``id_array``.
    """
    longest = max(map(len, names))
    if longest > _LONGEST_NAME:
        start = max(names, key=len)[:20]
        raise ImageError(
            f"{allowance.title} has a name of {longest} letters, such as {start!r}..., which is "
            f"none of a file: they have {_LONGEST_NAME} at most, rename it"
        )
    # An array gives each name the room of the longest.
    allowance.spend(_COPIES * 4 * len(names) * longest, f"ids of {longest} letters")
    return np.array(names, np.str_)


def is_ignored(path: str) -> bool:
    """Whether a path is what systems leave behind: dotfiles, ``__MACOSX``, ``Thumbs.db``."""
    return any(part.startswith(".") or part in _IGNORED for part in path.split("/"))


def index_ids(count: int, start: int = 0, stop: int | None = None) -> np.ndarray:
    """The ids of ``count`` images without names, their positions; or those of some of them."""
    # numpy itself would give each the room of the longest number that there is.
    return np.arange(start, count if stop is None else stop).astype(f"U{len(str(count))}")


def fingerprint_of(ids: np.ndarray, digests: np.ndarray) -> str:
    """The sha256 of ids ``(n,)`` and the digests of contents ``(n, 16)``."""
    digest = hashlib.sha256()
    for name in ids:
        encoded = str(name).encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    digest.update(np.ascontiguousarray(digests).tobytes())
    return digest.hexdigest()


def base_name(path: str) -> str:
    """The last part of a posix path."""
    return path.rpartition("/")[2]


def member_name(name: str, archive: str) -> str:
    """The name of a member of an archive as a relative posix path.

    Raises:
        ImageError: it leads out of the archive, or is no name of a file.
    """
    if is_plain_path(name):
        return name
    if "\0" in name:
        raise ImageError(f"{archive} holds {name!r}, which no file can be called: make it anew")
    path = PurePosixPath(name.replace("\\", "/"))
    if ".." in path.parts:
        raise ImageError(f"{archive} holds {name!r}, which leads out of it: make the archive anew")
    return path.as_posix().lstrip("/")


def is_plain_path(name: str) -> bool:
    """Whether a name is a relative path none of whose parts begins with a dot, as most are: it
    leads nowhere else, and is written in one way.
    """
    return _PLAIN_PATH.fullmatch(name) is not None


def match_names(ids: np.ndarray, names: set[str]) -> tuple[np.ndarray, set[str]]:
    """Which images are named, by full path or base name, as booleans ``(n,)``; and the names that
    are of none.
    """
    full = [str(name) for name in ids]
    found = [name in names or base_name(name) in names for name in full]
    return np.array(found, dtype=np.bool_), names - set(full) - set(map(base_name, full))


def locate_rows(ids: np.ndarray, names: list[str], table: str) -> np.ndarray:
    """For each image its row in a table that lists ``names``: by full path, else by base name.

    Raises:
        ImageError: an image is not in the table, or a name could mean several.
    """
    return NameRows(names, table).locate(ids)


def find_rows(ids: np.ndarray, names: list[str], table: str) -> np.ndarray:
    """``locate_rows`` of a table that need not have all images: -1 for the others.

    Raises:
        ImageError: a name could mean several.
    """
    return NameRows(names, table).find(ids)


class NameRows:
    """The rows of a table that lists ``names``, for images that are asked for some at a time; all
    of these are together the images that the table is of.
    """

    def __init__(self, names: list[str], table: str) -> None:
        self._names, self._table = names, table
        self._rows = {name: row for row, name in enumerate(names)}
        self._claimed: dict[str, str] = {}

    def names_any(self, ids: np.ndarray) -> bool:
        """Whether it lists one of some images, by full path or base name."""
        return any(name in self._rows or base_name(name) in self._rows for name in map(str, ids))

    def locate(self, ids: np.ndarray) -> np.ndarray:
        """``find`` of images that must be there.

        Raises:
            ImageError: as ``locate_rows``.
        """
        found = self.find(ids)
        missing = ids[found < 0]
        if len(missing):
            examples = ", ".join(repr(shortened(str(name))) for name in missing[:3])
            raise ImageError(
                f"{len(missing)} images are not in {self._table}, such as {examples}: "
                "add them, or choose other images"
            )
        return found

    def find(self, ids: np.ndarray) -> np.ndarray:
        """The row of each image ``(n,)``, -1 where there is none.

        Raises:
            ImageError: a name could mean several.
        """
        rows, names = self._rows, self._names
        if len(rows) < len(names):
            twice = next(name for row, name in enumerate(names) if rows[name] != row)
            raise ImageError(f"{self._table} lists {twice!r} twice: each image may have one row")
        found = np.fromiter((rows.get(str(i), -1) for i in ids), np.int64, len(ids))
        rest = np.flatnonzero(found < 0)
        if len(rest):
            found[rest] = self._by_base_name([str(ids[i]) for i in rest])
        return found

    @cached_property
    def _base_rows(self) -> dict[str, int]:
        """The row of each base name, -2 where several have it."""
        rows: dict[str, int] = {}
        for row, name in enumerate(self._names):
            if rows.setdefault(base_name(name), row) != row:
                rows[base_name(name)] = -2
        return rows

    def _by_base_name(self, ids: list[str]) -> list[int]:
        found = [self._base_rows.get(base_name(name), -1) for name in ids]
        for name, row in zip(ids, found, strict=True):
            base = base_name(name)
            if row == -2 or (row >= 0 and self._claimed.setdefault(base, name) != name):
                raise ImageError(
                    f"several images are called {base!r}: {self._table} must list them by their "
                    "full paths"
                )
        return found
