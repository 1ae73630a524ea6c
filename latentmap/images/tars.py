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
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from latentmap.errors import ImageError
from latentmap.files import open_regular, reading
from latentmap.files.spool import spool_of
from latentmap.files.tar_members import TarPlace, tar_members
from latentmap.images.archives import ArchiveImages
from latentmap.images.contents import FileState
from latentmap.images.pixel_memory import require_memory
from latentmap.images.values import ValueRange
from latentmap.limits import Allowance

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# What compressed files begin with, whatever their names say.
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_BLOCK = 1 << 20


class TarImages(ArchiveImages[TarPlace]):
    """The image files of a tar archive; links, devices and files with holes are left out."""

    def __init__(self, path: Path, value_range: ValueRange | None = None) -> None:
        allowance = Allowance(str(path), path.stat().st_size, ImageError)
        what = "is no tar archive, or is cut off"
        state = FileState.of(path.stat())
        with reading(path, ImageError, "get it again", what=what), _opened(path) as file:
            unpacked = os.fstat(file.fileno()).st_size
            self._packed = min(1.0, path.stat().st_size / max(unpacked, 1))
            found = list(tar_members(file, unpacked, allowance))
            descriptor = os.dup(file.fileno())
        super().__init__(path, found, descriptor, value_range, allowance, state=state)

    def stored_size(self, position: int, data: bytes) -> int:
        return int(self._packed * len(data))

    def _extract(self, member: TarPlace) -> bytes:
        require_memory(member.size, int(self._packed * member.size))
        data = os.pread(self._file, member.size, member.offset)
        if len(data) != member.size:
            raise ImageError("the archive is cut off")
        return data


def is_tar(path: Path) -> bool:
    """Whether a path is that of a tar archive, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def is_compressed(file: IO[bytes]) -> bool:
    """Whether an archive that was just opened is compressed, by its first bytes."""
    return _opener_of(file) is not None


def _opened(path: Path) -> IO[bytes]:
    file = open_regular(path)
    opener = _opener_of(file)
    if opener is None:
        return file
    with file:
        return _decompressed(path, file, opener)


def _opener_of(file: IO[bytes]) -> Callable[..., Any] | None:
    head = file.read(max(map(len, _OPENERS)))
    file.seek(0)
    return next((one for magic, one in _OPENERS.items() if head.startswith(magic)), None)


def _decompressed(path: Path, packed: IO[bytes], opener: Callable[..., Any]) -> IO[bytes]:
    spool = spool_of(path, ImageError, elsewhere="unpack it and give the folder")
    with opener(packed, "rb") as content:
        while block := content.read(_BLOCK):
            spool.write(block)
    file = os.fdopen(os.dup(spool.descriptor), "rb")
    file.seek(0)
    return file
