"""Images in a zip archive, read where they lie: several threads at once, nothing is unpacked."""

from __future__ import annotations

import os
import struct
import weakref
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from latentmap.errors import ImageError
from latentmap.images.containers import EncodedImages
from latentmap.images.decoding import SUFFIXES
from latentmap.images.naming import base_name, is_ignored, natural_key

_HEADER_SIZE = 30
# A name and extra fields stand between header and data; what is longer costs a second read.
_SLACK = 256
_ENCRYPTED = 1


class ZipImages(EncodedImages):
    """The image files of a zip archive, stored or deflated.

    A ``ZipFile`` has one position and one lock. Here the places are read once and then used with
    ``pread``, which threads and forked processes may share.
    """

    def __init__(self, path: Path) -> None:
        self.title = str(path)
        self._path = path
        self._members = _list_members(path)
        names = [name for name in self._members if name.lower().endswith(SUFFIXES)]
        if not names:
            raise ImageError(
                f"{path} holds no images ({', '.join(SUFFIXES)}): give an archive of images"
            )
        names.sort(key=natural_key)
        self.ids = np.array(names, np.str_)
        self._images = [self._members[name] for name in names]
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read_bytes(self, position: int) -> bytes:
        return self._extract(self._images[position])

    def companion(self, name: str) -> str | None:
        for path, member in self._members.items():
            if base_name(path) == name:
                return self._extract(member).decode("utf-8")
        beside = self._path.absolute().parent / name
        return beside.read_text("utf-8") if beside.is_file() else None

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
    members: dict[str, zipfile.ZipInfo] = {}
    for member in files:
        name = PurePosixPath(member.filename.replace("\\", "/")).as_posix().lstrip("/")
        if is_ignored(name):
            continue
        if members.setdefault(name, member) is not member:
            raise ImageError(f"{path} holds {name!r} twice: each image needs a name of its own")
    return members


def _inflate(data: bytes, size: int) -> bytes:
    try:
        # One byte more than promised shows a wrong size without filling the memory.
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
    except zlib.error as error:
        raise ImageError("its data in the archive is damaged") from error
