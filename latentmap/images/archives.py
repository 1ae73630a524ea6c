"""Images in archives, read where they lie: several threads at once, nothing is unpacked."""

from __future__ import annotations

import functools
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.companions import Companion, beside, within
from latentmap.images.containers import EncodedImages, no_images
from latentmap.images.formats import is_image_name
from latentmap.images.naming import is_ignored, member_name, natural_key
from latentmap.images.values import ValueRange

Member = TypeVar("Member")

_HEADER_SIZE = 30
# A name and extra fields stand between header and data; what is longer costs a second read.
_SLACK = 256
_ENCRYPTED = 1


class ArchiveImages(EncodedImages, Generic[Member]):
    """The image files of an archive whose ``members`` are known by name.

    ``descriptor`` is an open file that is closed with this. Members are read with ``pread``, which
    threads and forked processes may share.
    """

    def __init__(
        self,
        path: Path,
        members: Mapping[str, Member],
        descriptor: int,
        value_range: ValueRange | None,
    ) -> None:
        self.title = str(path)
        self.value_range = value_range
        self._path = path
        self._members = members
        self._file = descriptor
        weakref.finalize(self, os.close, descriptor)
        names = [name for name in members if is_image_name(name)]
        self.others = [name for name in members if not is_image_name(name)]
        if not names:
            raise no_images(self.title, self.others)
        names.sort(key=natural_key)
        self.ids = np.array(names, np.str_)
        self._images = [members[name] for name in names]

    def read_bytes(self, position: int) -> bytes:
        return self._extract(self._images[position])

    def companions(self, names: Sequence[str]) -> Iterator[Companion]:
        for name in within(self.title, self.others, names):
            read = functools.partial(self._extract, self._members[name])
            yield Companion(f"{name} in {self._path}", read)
        yield from beside(self._path, names)

    def _extract(self, member: Member) -> bytes:
        """The bytes of a member.

        Raises:
            ImageError: they cannot be had.
        """
        raise NotImplementedError


class ZipImages(ArchiveImages[zipfile.ZipInfo]):
    """The image files of a zip archive, stored or deflated.

    A ``ZipFile`` has one position and one lock; here the places are read once.
    """

    def __init__(self, path: Path, value_range: ValueRange | None = None) -> None:
        members = _list_members(path)
        super().__init__(path, members, os.open(path, os.O_RDONLY), value_range)

    def _extract(self, member: zipfile.ZipInfo) -> bytes:
        if member.flag_bits & _ENCRYPTED:
            raise ImageError("it is encrypted: unpack the archive first")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ImageError("it is neither stored nor deflated: unpack the archive first")
        wanted = _HEADER_SIZE + _SLACK + member.compress_size
        block = os.pread(self._file, wanted, member.header_offset)
        if block[:4] != b"PK\x03\x04" or len(block) < _HEADER_SIZE:
            raise ImageError("the archive is damaged or cut off")
        name_size, extra_size = struct.unpack_from("<HH", block, 26)
        start = _HEADER_SIZE + name_size + extra_size
        data = block[start : start + member.compress_size]
        if len(data) < member.compress_size:
            data = os.pread(self._file, member.compress_size, member.header_offset + start)
        if member.compress_type == zipfile.ZIP_DEFLATED:
            data = _inflate(data, member.file_size)
        if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
            raise ImageError("its checksum in the archive is another: the archive is damaged")
        return data


def _list_members(path: Path) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            files = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, struct.error) as error:
        raise ImageError(f"{path} is no zip archive, or is cut off: {error}") from error
    return unique_members(path, ((member.filename, member) for member in files))


def unique_members(path: Path, members: Iterable[tuple[str, Member]]) -> dict[str, Member]:
    """The members of an archive by the names that they have as images.

    Raises:
        ImageError: two have one name, or a name leads out of the archive.
    """
    named: dict[str, Member] = {}
    for raw, member in members:
        name = member_name(raw, str(path))
        if is_ignored(name):
            continue
        if named.setdefault(name, member) is not member:
            raise ImageError(f"{path} holds {name!r} twice: each image needs a name of its own")
    return named


def _inflate(data: bytes, size: int) -> bytes:
    try:
        # One byte more than promised shows a wrong size without filling the memory.
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
    except zlib.error as error:
        raise ImageError("its data in the archive is damaged") from error
