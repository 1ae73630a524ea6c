"""What a tar archive holds, by one walk over its headers, with bounds.

Archives of millions of files have headers of one plain kind, which are read here; at the first one
of another kind Python's own reader, which takes ten times as long, goes on.
"""

from __future__ import annotations

import os
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


_BLOCK = 512
# Where a header has its fields.
_NAME, _SIZE, _SUM, _PREFIX = slice(0, 100), slice(124, 136), slice(148, 156), slice(345, 500)
_KIND = 156
_REGULAR = b"0"
# Beside links, devices, folders and pipes, whose sizes mean nothing.
_PLAIN_KINDS = {_REGULAR, b"1", b"2", b"3", b"4", b"5", b"6"}
_OCTAL = re.compile(rb" *([0-7]{1,12})[ \0]*")


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
    place = 0
    while (member := _plain(headers, place)) is not None:
        if member.kind == _REGULAR:
            yield _within(size, member.name, TarPlace(place + _BLOCK, member.size))
            place += -(-member.size // _BLOCK) * _BLOCK
        place += _BLOCK
    file.seek(max(place - 1, 0))
    if place and not file.read(1):
        raise ValueError("it ends within a file")
    archive: Any  # Its list of members has no type.
    with tarfile.open(fileobj=headers, mode="r:") as archive:
        for member in archive:
            archive.members.clear()  # Each takes a kilobyte.
            allowance.spend(_ATTRIBUTE * len(member.pax_headers), "the attributes of its files")
            if member.type in tarfile.REGULAR_TYPES and not member.issparse():
                yield _within(size, member.name, TarPlace(member.offset_data, member.size))


def _within(size: int, name: str, place: TarPlace) -> tuple[str, TarPlace]:
    if place.offset + place.size > size:
        raise ValueError(f"{name!r} is larger than the archive: it is cut off")
    return name, place


class _Plain(NamedTuple):
    name: str
    size: int
    kind: bytes


def _plain(headers: Any, place: int) -> _Plain | None:
    """The header at a place, if it is of the plain kind, and as its own sum says."""
    headers.seek(place)
    block = headers.read(_BLOCK)
    kind = block[_KIND : _KIND + 1]
    if len(block) != _BLOCK or kind not in _PLAIN_KINDS:
        return None
    size, total = _OCTAL.fullmatch(block[_SIZE]), _OCTAL.fullmatch(block[_SUM])
    # The sum is of the header with blanks in its own place.
    if not size or not total or int(total[1], 8) != sum(block) - sum(block[_SUM]) + 8 * ord(" "):
        return None
    name, prefix = (block[field].partition(b"\0")[0] for field in (_NAME, _PREFIX))
    return _Plain(os.fsdecode(prefix + b"/" + name if prefix else name), int(size[1], 8), kind)
