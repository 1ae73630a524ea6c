"""What a zip archive says that it holds, read with bounds and checked against the file.

Python's ``zipfile`` believes what the directory says, and takes twenty times its size in memory.
"""

from __future__ import annotations

import os
import struct
from io import BufferedReader
from typing import NamedTuple

from latentmap.limits import Allowance

LOCAL_HEADER = 30
_END, _END_SIZE, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65535
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_END64, _END64_SIZE = b"PK\x06\x06", 56
_ENTRY = struct.Struct("<4s6H3I5H2I")
_UTF8 = 0x800
# What a member takes in memory until its images are sorted, beside the letters of its name.
_MEMBER = 1000


class ZipMember(NamedTuple):
    """A file in an archive: where its header is, its size there and unpacked, and the rest."""

    name: str
    offset: int
    packed: int
    size: int
    crc: int
    method: int
    flags: int


def zip_directory(file: BufferedReader, allowance: Allowance) -> list[ZipMember]:
    """The members of an archive, folders among them, which lie in the file one after the other.

    Raises:
        ValueError: it is no zip archive, is cut off, or contradicts itself.
        LatentmapError: of the class of ``allowance``: it holds more than its size allows.
    """
    file_size = os.fstat(file.fileno()).st_size
    start, length, shift = _place(file, file_size)
    file.seek(start)
    data = file.read(length)
    members: list[ZipMember] = []
    position = 0
    while position < length:
        if length - position < _ENTRY.size or data[position : position + 4] != b"PK\x01\x02":
            raise ValueError("its directory is damaged")
        fields = _ENTRY.unpack_from(data, position)
        flags, method, crc, packed, size = fields[3], fields[4], *fields[7:10]
        names, extras, comment, offset = *fields[10:13], fields[16]
        position += _ENTRY.size
        allowance.spend(_MEMBER + 4 * names, f"the names of more than {len(members)} files")
        name = data[position : position + names]
        extra = data[position + names : position + names + extras]
        position += names + extras + comment
        if position > length:
            raise ValueError("its directory is cut off")
        packed, size, offset = _long_numbers(extra, packed, size, offset)
        text = name.decode("utf-8" if flags & _UTF8 else "cp437")
        members.append(ZipMember(text, offset + shift, packed, size, crc, method, flags))
    _refuse_overlaps(members, start)
    return members


def _place(file: BufferedReader, file_size: int) -> tuple[int, int, int]:
    """Where the directory begins, its length, and how far all offsets are off."""
    tail_size = min(file_size, _LONGEST_COMMENT + _END_SIZE + _LOCATOR_SIZE + _END64_SIZE)
    file.seek(file_size - tail_size)
    tail = file.read(tail_size)
    found = tail.rfind(_END)
    if found < 0 or tail_size - found < _END_SIZE:
        raise ValueError("it has no end of a zip archive")
    length, offset = struct.unpack_from("<2I", tail, found + 12)
    end = file_size - tail_size + found
    locator = found - _LOCATOR_SIZE
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR:
        end64 = locator - _END64_SIZE
        if end64 < 0 or tail[end64 : end64 + 4] != _END64:
            raise ValueError("its end is damaged")
        length, offset = struct.unpack_from("<2Q", tail, end64 + 40)
        end = file_size - tail_size + end64
    start = end - length
    # Another file, such as a program that unpacks, may stand before the archive.
    if start < offset:
        raise ValueError("its directory is not where it says")
    return start, length, start - offset


def _long_numbers(extra: bytes, packed: int, size: int, offset: int) -> tuple[int, int, int]:
    """Sizes and offset, where they are too large for an entry and stand beside it."""
    most = 0xFFFFFFFF
    if most not in (packed, size, offset):
        return packed, size, offset
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == 1:
            content = extra[position + 4 : position + 4 + length]
            numbers = iter(struct.unpack(f"<{len(content) // 8}Q", content[: len(content) & ~7]))
            size, packed, offset = (
                next(numbers, number) if number == most else number
                for number in (size, packed, offset)
            )
            break
        position += 4 + length
    return packed, size, offset


def _refuse_overlaps(members: list[ZipMember], end: int) -> None:
    """Refuses an archive of which one piece is several members: its bombs have no end."""
    last = 0
    for offset, packed in sorted((member.offset, member.packed) for member in members):
        if offset < last:
            raise ValueError("its members overlap")
        last = offset + LOCAL_HEADER + packed
    if last > end:
        raise ValueError("its members are larger than the archive: it is cut off or damaged")
