"""Images in a tar archive, compressed or not.

A tar is read where it lies, after one walk over its headers. A compressed one cannot be entered in
the middle: it is decompressed once for each opening, into a file without a name that ends with the
program.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from latentmap.errors import ImageError
from latentmap.files import open_regular, reading
from latentmap.images.archives import ArchiveImages
from latentmap.images.contents import FileState
from latentmap.images.pixel_memory import require_memory
from latentmap.images.values import ValueRange
from latentmap.limits import Allowance, advice, limit

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# What compressed files begin with, whatever their names say.
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_BLOCK = 1 << 20
_UNPACKED = 200_000_000  # Of small archives, whose headers alone pack so well.
# A header is a block of 512 bytes; names and attributes that do not fit are read at once.
_LONGEST_HEADER = 1 << 20
# What a byte of headers takes in memory: 21 holes, say, of which a block of 512 bytes tells.
_HEADERS = 5
_ATTRIBUTE = 100
# Python's reader of headers takes quadratic time for a number that does not end.
_ENDLESS = re.compile(rb"[0-9]{1000}")


class _Place(NamedTuple):
    """Where the bytes of a file are."""

    offset: int
    size: int


class TarImages(ArchiveImages[_Place]):
    """The image files of a tar archive; links, devices and files with holes are left out."""

    def __init__(self, path: Path, value_range: ValueRange | None = None) -> None:
        allowance = Allowance(str(path), path.stat().st_size, ImageError)
        what = "is no tar archive, or is cut off"
        state = FileState.of(path.stat())
        with reading(path, ImageError, "get it again", what=what), _opened(path) as file:
            unpacked = os.fstat(file.fileno()).st_size
            self._packed = min(1.0, path.stat().st_size / max(unpacked, 1))
            found = list(_members(file, unpacked, allowance))
            descriptor = os.dup(file.fileno())
        super().__init__(path, found, descriptor, value_range, allowance, state=state)

    def stored_size(self, position: int, data: bytes) -> int:
        return int(self._packed * len(data))

    def _extract(self, member: _Place) -> bytes:
        require_memory(member.size, int(self._packed * member.size))
        data = os.pread(self._file, member.size, member.offset)
        if len(data) != member.size:
            raise ImageError("the archive is cut off")
        return data


class _Headers:
    """A file of which ``tarfile`` reads headers: a header may say that it has any size."""

    def __init__(self, file: IO[bytes], allowance: Allowance) -> None:
        self._file, self._allowance = file, allowance
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _LONGEST_HEADER:
            raise ValueError(f"it has a header of {size} bytes")
        self._allowance.spend(_HEADERS * size, "the headers of its files")
        data = self._file.read(size)
        if _ENDLESS.search(data):
            raise ValueError("it has a header with a number of 1000 digits")
        return data


def _members(file: IO[bytes], size: int, allowance: Allowance) -> Iterator[tuple[str, _Place]]:
    """The names and places of the regular files in a tar archive of ``size`` bytes."""
    headers: Any = _Headers(file, allowance)
    archive: Any  # Its list of members has no type.
    with tarfile.open(fileobj=headers, mode="r:") as archive:
        for member in archive:
            archive.members.clear()  # Each takes a kilobyte.
            allowance.spend(_ATTRIBUTE * len(member.pax_headers), "the attributes of its files")
            if member.type in tarfile.REGULAR_TYPES and not member.issparse():
                if member.offset_data + member.size > size:
                    raise ValueError(f"{member.name!r} is larger than the archive: it is cut off")
                yield member.name, _Place(member.offset_data, member.size)


def is_tar(path: Path) -> bool:
    """Whether a path is that of a tar archive, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def _opened(path: Path) -> IO[bytes]:
    file = open_regular(path)
    head = file.read(max(map(len, _OPENERS)))
    file.seek(0)
    for magic, opener in _OPENERS.items():
        if head.startswith(magic):
            with file:
                return _decompressed(path, file, opener)
    return file


def _decompressed(path: Path, packed: IO[bytes], opener: Callable[..., Any]) -> IO[bytes]:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free // 2
    most = limit("unpacked") * path.stat().st_size + _UNPACKED
    left = min(free, most)
    file = tempfile.TemporaryFile()
    try:
        with opener(packed, "rb") as content:
            while block := content.read(_BLOCK):
                left -= len(block)
                if left < 0 and free < most:
                    raise ImageError(
                        f"{path} takes more than half of what is free in {folder}: unpack it and "
                        "give the folder, or set TMPDIR to a larger disk"
                    )
                if left < 0:
                    raise ImageError(
                        f"{path} takes more than {most} bytes unpacked, from "
                        f"{path.stat().st_size}: {advice('unpacked')}"
                    )
                file.write(block)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
