"""Codes in tar archives, one after the other, as WebDataset lays them out: a member is a code."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from latentmap.codes.raw_codes import RawCodes, listed, require_floats
from latentmap.errors import SpaceError
from latentmap.files import open_regular
from latentmap.files.file_rows import FileRows
from latentmap.files.numpy_arrays import array_header
from latentmap.files.spool import Spool
from latentmap.files.tar_members import tar_members
from latentmap.limits import Allowance

_MEMBER = 400  # Bytes of memory for an id, beside its letters.
_FLOAT = np.dtype("<f4")


def read_shards(paths: list[Path], codes: str | None, ids: str | None) -> RawCodes:
    """The codes of all members ``KEY.npy``, whose ids are their keys: the names up to the first dot
    of the file's name. Of a sample with several arrays (``KEY.image.npy``) ``codes`` is the end of
    the name, ``image`` or ``image.npy``. Other members are passed over.

    All codes are unpacked into a spool as float32.

    Raises:
        ValueError: there is no code, they have different shapes, or it is not said which are meant.
        SpaceError: they take more room than files of their size may.
    """
    if ids is not None:
        raise ValueError("the ids in a tar are the names of its members: leave ?ids= out")
    size = sum(path.stat().st_size for path in paths)
    elsewhere = "save them as one .npz"
    spool = Spool(str(paths[0]), size, SpaceError, elsewhere=elsewhere)
    names: list[str] = []
    shape: tuple[int, ...] | None = None
    for name, code in _codes_in(paths, codes):
        if shape is None:
            shape = code.shape
        if code.shape != shape:
            raise ValueError(f"{name!r} has shape {code.shape}, and those before it {shape}")
        with np.errstate(over="ignore"):
            spool.write(code.astype(_FLOAT).reshape(-1).view(np.uint8))
        names.append(name)
    if shape is None:
        raise ValueError("no member of it is called KEY.npy")
    longest = max(map(len, names))
    Allowance(str(paths[0]), size, SpaceError).spend(
        4 * longest * len(names), f"ids of up to {longest} letters"
    )
    return RawCodes(
        FileRows(spool.descriptor, _FLOAT, (len(names), *shape)), np.array(names, np.str_)
    )


def _codes_in(paths: list[Path], wanted: str | None) -> Iterator[tuple[str, np.ndarray]]:
    """The keys and codes of all shards, in order."""
    end = None if wanted is None else f"{wanted.removesuffix('.npy')}.npy".removeprefix("npy.")
    for path in paths:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            allowance = Allowance(str(path), size, SpaceError)
            for name, place in tar_members(file, size, allowance):
                key, ending = _parted(name)
                if not ending.endswith("npy") or not key:
                    continue
                allowance.spend(_MEMBER + 8 * len(key), "the names of its members")
                if end is None:
                    end = ending
                if ending != end:
                    if wanted is None:
                        both = listed([end, ending])
                        raise ValueError(f"its samples hold {both}: say which, as FILE?codes=END")
                    continue
                data = os.pread(file.fileno(), place.size, place.offset)
                yield key, _code(name, data)


def _parted(name: str) -> tuple[str, str]:
    """The key of a member and the end of its name, at the first dot of its last part."""
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}" if stem else "", ending.lower()


def _code(name: str, data: bytes) -> np.ndarray:
    """One code, of any shape but a single number's."""
    content = io.BytesIO(data)
    header = array_header(content, len(data))
    require_floats(header.dtype)
    count = math.prod(header.shape)
    if not header.shape or not count:
        raise ValueError(f"{name!r} holds no code: shape {header.shape}")
    values = np.frombuffer(data, header.dtype, count, header.length)
    return values.reshape(header.shape, order="F" if header.column_major else "C")
