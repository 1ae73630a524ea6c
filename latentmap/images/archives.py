"""Images in archives, read where they lie: several threads at once, nothing is unpacked."""

from __future__ import annotations

import functools
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import open_regular, reading
from latentmap.files.zip_directory import LOCAL_HEADER, ZipMember, zip_directory
from latentmap.images.companions import Companion, beside, within
from latentmap.images.containers import EncodedImages
from latentmap.images.contents import FileState, Marks, mark_of
from latentmap.images.formats import is_image_name, no_images
from latentmap.images.naming import id_array, is_ignored, member_name
from latentmap.images.pixel_memory import require_memory
from latentmap.images.values import ValueRange
from latentmap.limits import Allowance

Member = TypeVar("Member", bound=tuple[object, ...])

# A name and extra fields stand between header and data; what is longer costs a second read.
_SLACK = 256
_ENCRYPTED = 1


class ArchiveImages(EncodedImages, Generic[Member]):
    """The image files of an archive, of which ``found`` are the names and what each is.

    ``descriptor`` is an open file that is closed with this, ``state`` that of the archive before it
    was looked into. The ids take of the ``allowance`` of
    the archive. Members are read with ``pread``, which threads and forked processes may share.
    """

    def __init__(
        self,
        path: Path,
        found: Iterable[tuple[str, Member]],
        descriptor: int,
        value_range: ValueRange | None,
        allowance: Allowance,
        *,
        state: FileState,
    ) -> None:
        weakref.finalize(self, os.close, descriptor)
        self.title = str(path)
        self.value_range = value_range
        self._path = path
        self._file = descriptor
        self._state = state
        self._members = unique_members(path, found)
        names = [name for name in self._members if is_image_name(name)]
        self.others = [name for name in self._members if not is_image_name(name)]
        if not names:
            raise no_images(self.title, self.others)
        self.ids = id_array(names, allowance)
        self._images = [self._members[str(name)] for name in self.ids]

    def read_bytes(self, position: int) -> bytes:
        return self._extract(self._images[position])

    def marks(self, index: np.ndarray) -> Marks:
        members = [self._images[position] for position in index]
        values = [mark_of(self._state.mark, self.value_range, *member) for member in members]
        marks = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 16)
        return Marks(marks, np.full(len(index), self._state.settled))

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


class ZipImages(ArchiveImages[ZipMember]):
    """The image files of a zip archive, stored or deflated.

    A ``ZipFile`` has one position and one lock, and takes much memory; here the places are read
    once.
    """

    def __init__(self, path: Path, value_range: ValueRange | None = None) -> None:
        allowance = Allowance(str(path), path.stat().st_size, ImageError)
        what = "is no zip archive, or is cut off"
        with reading(path, ImageError, "get it again", what=what), open_regular(path) as file:
            state = FileState.of(os.fstat(file.fileno()))
            found = zip_directory(file, allowance)
            descriptor = os.dup(file.fileno())
        files = ((one.name, one) for one in found if not one.name.endswith("/"))
        super().__init__(path, files, descriptor, value_range, allowance, state=state)

    def stored_size(self, position: int, data: bytes) -> int:
        return min(len(data), self._images[position].packed)

    def _extract(self, member: ZipMember) -> bytes:
        if member.flags & _ENCRYPTED:
            raise ImageError("it is encrypted: unpack the archive first")
        if member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ImageError("it is neither stored nor deflated: unpack the archive first")
        require_memory(member.packed + member.size, member.packed)
        block = os.pread(self._file, LOCAL_HEADER + _SLACK + member.packed, member.offset)
        if block[:4] != b"PK\x03\x04" or len(block) < LOCAL_HEADER:
            raise ImageError("the archive is damaged or cut off")
        name_size, extra_size = struct.unpack_from("<HH", block, 26)
        start = LOCAL_HEADER + name_size + extra_size
        data = block[start : start + member.packed]
        if len(data) < member.packed:
            data = os.pread(self._file, member.packed, member.offset + start)
        if member.method == zipfile.ZIP_DEFLATED:
            data = _inflate(data, member.size)
        if len(data) != member.size or zlib.crc32(data) != member.crc:
            raise ImageError("its checksum in the archive is another: the archive is damaged")
        return data


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
