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

_OPENERS: dict[str, Callable[..., Any]] = {
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
    ".tar.xz": lzma.open,
    ".txz": lzma.open,
}
SUFFIXES = (".tar", *_OPENERS)
_BLOCK = 1 << 20
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


class TarImages(ArchiveImages[tarfile.TarInfo]):
    """The image files of a tar archive; links, devices and files with holes are left out."""

    def __init__(self, path: Path, value_range: ValueRange | None = None) -> None:
        try:
            file = path.open("rb") if path.suffix.lower() == ".tar" else _decompressed(path)
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


def _decompressed(path: Path) -> Any:
    name = path.name.lower()
    opener = next(opener for suffix, opener in _OPENERS.items() if name.endswith(suffix))
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
