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
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from latentmap.errors import ImageError
from latentmap.images.archives import ArchiveImages, unique_members
from latentmap.images.values import ValueRange

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# What compressed files begin with, whatever their names say.
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_BLOCK = 1 << 20
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


class TarImages(ArchiveImages[tarfile.TarInfo]):
    """The image files of a tar archive; links, devices and files with holes are left out."""

    def __init__(self, path: Path, value_range: ValueRange | None = None) -> None:
        try:
            file = _opened(path)
            with file, tarfile.open(fileobj=file, mode="r:") as archive:
                found = [m for m in archive if m.type in tarfile.REGULAR_TYPES and not m.issparse()]
                descriptor = os.dup(file.fileno())
        except ImageError:
            raise
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # What the system refuses says nothing of the archive.
            raise ImageError(f"{path} is no tar archive, or is cut off: {error}") from error
        try:
            members = unique_members(path, ((member.name, member) for member in found))
        except ImageError:
            os.close(descriptor)
            raise
        super().__init__(path, members, descriptor, value_range)

    def _extract(self, member: tarfile.TarInfo) -> bytes:
        data = os.pread(self._file, member.size, member.offset_data)
        if len(data) != member.size:
            raise ImageError("the archive is cut off")
        return data


def is_tar(path: Path) -> bool:
    """Whether a path is that of a tar archive, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def _opened(path: Path) -> Any:
    file = path.open("rb")
    head = file.read(max(map(len, _OPENERS)))
    file.seek(0)
    for magic, opener in _OPENERS.items():
        if head.startswith(magic):
            file.close()
            return _decompressed(path, opener)
    return file


def _decompressed(path: Path, opener: Callable[..., Any]) -> Any:
    folder = tempfile.gettempdir()
    room = shutil.disk_usage(folder).free // 2
    file = tempfile.TemporaryFile()
    try:
        with opener(path, "rb") as packed:
            while block := packed.read(_BLOCK):
                room -= len(block)
                if room < 0:
                    raise ImageError(
                        f"{path} takes more than half of what is free in {folder}: unpack it and "
                        "give the folder, or set TMPDIR to a larger disk"
                    )
                file.write(block)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
