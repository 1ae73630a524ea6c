"""Contents: what is known of some images, and how it is kept so that files need not be read again.

A file counts as the one that was read while its path, size, times and inode are the same, as for
git; one that was changed less than two seconds before it was looked at is never kept, since it
could be changed again without its times telling. Shapes: ``n`` images.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

# The number changes whenever a file gets another digest than before.
_MAGIC = b"latentmap contents 1\n"
_HASH = 32
_RECORD = np.dtype([("mark", "u1", 16), ("digest", "u1", 16), ("shape", "<u4", 3)])
_LONGEST_SIDE = 1 << 24
_RACY = 2_000_000_000  # Nanoseconds.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # Odd, so that no two numbers get one value.


@dataclass(frozen=True, eq=False)
class Contents:
    """What is known of some images: ``digests`` (n, 16) uint8, and ``shapes`` (n, 3) int64.

    A digest is the start of the sha256 of the content; a shape is height, width and channels, zeros
    for an image that cannot be read.
    """

    digests: np.ndarray
    shapes: np.ndarray


@dataclass(frozen=True, eq=False)
class Marks:
    """What is seen of images without reading them: ``values`` (n, 16) uint8, other ones whenever a
    file is another; and which of them are ``settled`` (n,), so that what is read next may be kept.
    """

    values: np.ndarray
    settled: np.ndarray


@dataclass(frozen=True)
class FileState:
    """A file as it looks from outside: ``mark``, and whether it is ``settled``."""

    mark: bytes
    settled: bool

    @classmethod
    def of(cls, status: os.stat_result, *known: object, now: int | None = None) -> FileState:
        """The state of a file of which ``status`` was just asked; ``known`` says which file it is,
        and all else that its content depends on.
        """
        now = time.time_ns() if now is None else now
        parts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, *known)
        changed = max(status.st_mtime_ns, status.st_ctime_ns)
        return cls(mark_of(*parts), changed + _RACY < now)

    def marks(self, index: np.ndarray) -> Marks:
        """The marks of the images at ``index`` in a file that holds nothing but them."""
        values = np.frombuffer(self.mark * len(index), "<u8").reshape(-1, 2).copy()
        values[:, 0] += index.astype(np.uint64) * _SPREAD
        return Marks(values.view(np.uint8), np.full(len(index), self.settled))


def mark_of(*parts: object) -> bytes:
    """16 bytes that are others for other ``parts``."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=16).digest()


@dataclass(frozen=True, eq=False)
class KnownContents:
    """Marks with the contents that were read under them, ``records`` ``(m,)``, oldest first."""

    records: np.ndarray

    @classmethod
    def nothing(cls) -> KnownContents:
        """None at all."""
        return cls(np.empty(0, _RECORD))

    def find(self, marks: Marks) -> tuple[np.ndarray, Contents]:
        """The positions among ``marks`` whose contents are known, and these."""
        heads, wanted = _heads(self.records["mark"]), _heads(marks.values)
        order = np.argsort(heads, kind="stable")
        # The last of equal ones is the newest.
        place = np.searchsorted(heads[order], wanted, "right") - 1
        if not len(heads):
            return np.empty(0, np.int64), Contents(*_columns(self.records))
        rows = order[np.maximum(place, 0)]
        same = (self.records["mark"][rows] == marks.values).all(axis=1)
        return np.flatnonzero(same), Contents(*_columns(self.records[rows[same]]))

    def adding(self, marks: Marks, contents: Contents, *, most: int) -> KnownContents:
        """These and others that were read, the newest ``most`` of all; without what could not be
        read, and without what is not settled.
        """
        kept = marks.settled & (contents.shapes[:, 0] > 0)
        new = np.empty(int(kept.sum()), _RECORD)
        new["mark"], new["digest"] = marks.values[kept], contents.digests[kept]
        new["shape"] = contents.shapes[kept]
        return replace(self, records=np.concatenate([self.records, new])[-most:])

    def to_bytes(self) -> bytes:
        """The file: a line that names the format, a sha256, and the records."""
        body = self.records.tobytes()
        return _MAGIC + hashlib.sha256(body).digest() + body

    @classmethod
    def from_bytes(cls, data: bytes) -> KnownContents:
        """What ``to_bytes`` wrote.

        Raises:
            ValueError: it is something else.
        """
        start = len(_MAGIC) + _HASH
        body = data[start:]
        if data[: len(_MAGIC)] != _MAGIC or len(body) % _RECORD.itemsize:
            raise ValueError("it does not hold contents of images, or those of another version")
        if hashlib.sha256(body).digest() != data[len(_MAGIC) : start]:
            raise ValueError("it is not as it was written")
        records = np.frombuffer(body, _RECORD)
        height, width, channels = records["shape"].T
        sides = np.stack([height, width])
        if not (((sides > 0) & (sides <= _LONGEST_SIDE)).all() and np.isin(channels, (1, 3)).all()):
            raise ValueError("it holds shapes that no image has")
        return cls(records)


def size_of_contents(count: int) -> int:
    """The bytes of a file with so many records."""
    return len(_MAGIC) + _HASH + count * _RECORD.itemsize


class ContentStore(Protocol):
    """Where known contents are kept, those of each place apart."""

    def load(self, place: str, most: int) -> KnownContents:
        """Those of the images at a place, of which there are ``most`` at most; nothing, too, where
        they cannot be read.
        """

    def save(self, place: str, known: KnownContents) -> None:
        """Replaces those of a place, if they can be written."""


def _heads(values: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.ascontiguousarray(values).view("<u8")[:, 0]
    return whole


def _columns(records: Any) -> tuple[np.ndarray, np.ndarray]:
    return records["digest"], records["shape"].astype(np.int64)
