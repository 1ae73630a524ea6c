"""Where the arrays of ``.npy`` and ``.npz`` files lie, and their rows, read as they are wanted."""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from latentmap.errors import LatentmapError
from latentmap.files.file_rows import FileRows
from latentmap.files.numpy_arrays import ArrayHeader, array_header
from latentmap.files.opening import open_regular
from latentmap.files.spool import Spool, spool_of
from latentmap.files.zip_directory import LOCAL_HEADER, ZipMember, zip_directory
from latentmap.limits import Allowance

_BLOCK = 1 << 22
_ELSEWHERE = "save its arrays with numpy.savez, uncompressed"


@dataclass(frozen=True, eq=False)
class PlacedArray:
    """An array in a file: what its ``header`` says, and the ``member`` of the archive that it is,
    None where it is the whole file.
    """

    path: Path
    error: type[LatentmapError]
    header: ArrayHeader
    member: ZipMember | None

    @property
    def nbytes(self) -> int:
        """The bytes of its values."""
        return math.prod(self.header.shape) * self.header.dtype.itemsize

    def rows(self) -> FileRows:
        """Its rows, from the file itself where they lie there as they are; others are unpacked into
        a spool. What is in an archive is checked against its sum.

        Raises:
            ValueError: it is cut off or damaged.
            OSError: it cannot be read.
            LatentmapError: of the class ``error``: it takes more room than a file of its size may.
        """
        head = self.header
        if head.dtype.hasobject:
            raise ValueError("it holds Python objects, which are never unpacked")
        with open_regular(self.path) as file:
            if self.member is not None and self.member.method != zipfile.ZIP_STORED:
                spool = self._unpacked(file)
                return self._by_rows(spool.descriptor, 0)
            start = 0
            if self.member is not None:
                start = _content_start(file, self.member)
                _check_sum(file, start, self.member)
            if start + head.length + self.nbytes > os.fstat(file.fileno()).st_size:
                raise ValueError("it is cut off")
            return self._by_rows(file.fileno(), start + head.length)

    def _by_rows(self, descriptor: int, offset: int) -> FileRows:
        head = self.header
        if head.column_major:
            return self._transposed(descriptor, offset)
        return FileRows(descriptor, head.dtype, head.shape, offset)

    def _unpacked(self, file: IO[bytes]) -> Spool:
        """The values of a compressed array."""
        assert self.member is not None, "only members are compressed"
        spool = spool_of(self.path, self.error, elsewhere=_ELSEWHERE)
        spool.require_room(self.nbytes)
        with zipfile.ZipFile(file) as archive, archive.open(self.member.name) as content:
            content.read(self.header.length)
            while block := content.read(_BLOCK):
                spool.write(block)
        if spool.size < self.nbytes:
            raise ValueError(f"{self.member.name} is cut off")
        return spool

    def _transposed(self, descriptor: int, offset: int) -> FileRows:
        """The rows of an array that lies column by column, which a spool has row by row."""
        head = self.header
        spool = spool_of(self.path, self.error, elsewhere=_ELSEWHERE)
        step = max(1, _BLOCK * head.shape[0] // max(1, self.nbytes))
        for start in range(0, head.shape[0], step):
            # Mapped anew each time, so that not all of its pages count as memory in the end.
            with open(descriptor, "rb", closefd=False) as file:  # No path has it.
                values = np.memmap(file, head.dtype, "r", offset, head.shape, "F")
            spool.write(np.ascontiguousarray(values[start : start + step]).reshape(-1).view("u1"))
        return FileRows(spool.descriptor, head.dtype, head.shape)


def place_arrays(path: Path, error: type[LatentmapError]) -> dict[str, PlacedArray]:
    """The arrays of a ``.npz`` file by their names, or that of a ``.npy`` file, whose name is
    empty. Only headers are read.

    Besides ``error`` it raises whatever zipfile and numpy do.

    Raises:
        LatentmapError: of the class ``error``: it takes more memory than a file of its size may.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(6) == b"\x93NUMPY":
            file.seek(0)
            return {"": PlacedArray(path, error, array_header(file, size), None)}
        found = {}
        members = zip_directory(file, Allowance(str(path), size, error))
        with zipfile.ZipFile(file) as archive:
            for member in members:
                if member.name.endswith(".npy"):
                    with archive.open(member.name) as content:
                        header = array_header(content, member.size)
                    name = member.name.removesuffix(".npy")
                    found[name] = PlacedArray(path, error, header, member)
        return found


def _content_start(file: IO[bytes], member: ZipMember) -> int:
    """Where the bytes of a member begin that is not compressed: behind its own header."""
    file.seek(member.offset)
    head = file.read(LOCAL_HEADER)
    if len(head) < LOCAL_HEADER or head[:4] != b"PK\x03\x04" or member.packed != member.size:
        raise ValueError(f"{member.name} is damaged")
    name, extra = struct.unpack_from("<2H", head, 26)
    return member.offset + LOCAL_HEADER + int(name) + int(extra)


def _check_sum(file: IO[bytes], start: int, member: ZipMember) -> None:
    """Refuses a member whose bytes are not those that were written."""
    file.seek(start)
    left, found = member.size, 0
    while left and (block := file.read(min(left, _BLOCK))):
        found = zlib.crc32(block, found)
        left -= len(block)
    if left or found != member.crc:
        raise ValueError(f"{member.name} is damaged: its sum is another")
