"""What a tar archive holds, by one walk over its headers, with bounds."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from latentmap.limits import Allowance

# A header is a block of 512 bytes; names and attributes that do not fit are read at once.
_LONGEST_HEADER = 1 << 20
# What a byte of headers takes in memory: 21 holes, say, of which a block of 512 bytes tells.
_HEADERS = 5
_ATTRIBUTE = 100
# Python's reader of headers takes quadratic time for a number that does not end.
_ENDLESS = re.compile(rb"[0-9]{1000}")


class TarPlace(NamedTuple):
    """Where the bytes of a file in an archive are."""

    offset: int
    size: int


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


def tar_members(file: IO[bytes], size: int, allowance: Allowance) -> Iterator[tuple[str, TarPlace]]:
    """The names and places of the regular files in a tar archive of ``size`` bytes; links, devices
    and files with holes are left out.

    Besides ``ValueError`` and the error of the allowance it raises whatever tarfile does.
    """
    headers: Any = _Headers(file, allowance)
    archive: Any  # Its list of members has no type.
    with tarfile.open(fileobj=headers, mode="r:") as archive:
        for member in archive:
            archive.members.clear()  # Each takes a kilobyte.
            allowance.spend(_ATTRIBUTE * len(member.pax_headers), "the attributes of its files")
            if member.type in tarfile.REGULAR_TYPES and not member.issparse():
                if member.offset_data + member.size > size:
                    raise ValueError(f"{member.name!r} is larger than the archive: it is cut off")
                yield member.name, TarPlace(member.offset_data, member.size)
