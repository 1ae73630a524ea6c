"""The arrays of ``.npz`` and ``.npy`` files: each read when it is asked for, and no larger than it
may be, or mapped.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from latentmap.errors import LatentmapError
from latentmap.files.opening import open_regular
from latentmap.files.zip_directory import zip_directory
from latentmap.limits import Allowance

_MAGIC = 8  # Bytes before the length of a header.


class ReadArray(Protocol):
    """Reads an array; ``copies`` is how many times its size that takes in the end."""

    def __call__(self, *, copies: int = 1) -> np.ndarray: ...


@contextmanager
def open_arrays(path: Path, error: type[LatentmapError]) -> Iterator[Mapping[str, ReadArray]]:
    """What reads the arrays of a file, by their names.

    Besides ``error`` it raises whatever zipfile and numpy do.

    Raises:
        LatentmapError: of the class ``error``: they take more memory than a file of its size may.
    """
    with open_regular(path) as file:
        allowance = Allowance(str(path), path.stat().st_size, error)
        _ = zip_directory(file, allowance)  # Refuses what zipfile would believe.
        with zipfile.ZipFile(file) as archive:
            yield {
                member.filename.removesuffix(".npy"): partial(_read, archive, member, allowance)
                for member in archive.infolist()
                if member.filename.endswith(".npy")
            }


@contextmanager
def _of_python_2() -> Iterator[None]:
    """Takes arrays that Python 2 wrote as they are, of which numpy warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Reading `.npy` or `.npz` file required")
        yield


@_of_python_2()
def _read(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, allowance: Allowance, *, copies: int = 1
) -> np.ndarray:
    size = copies * member.file_size
    allowance.spend(size, f"the array {member.filename}, {size:,} bytes")
    with archive.open(member) as content:
        array_header(content, member.file_size)
    # numpy touches no more memory than there are bytes, and zipfile gives no more than it says.
    with archive.open(member) as content:
        array: np.ndarray = np.lib.format.read_array(content, allow_pickle=False)
    # A row of no bytes costs nothing in the file, and much wherever rows are counted or named.
    if array.ndim and array.nbytes < len(array):
        raise ValueError(f"{member.filename} has {len(array)} rows in {array.nbytes} bytes")
    return array


@_of_python_2()
def map_array(path: Path) -> np.ndarray:
    """The array in a ``.npy`` file, mapped into memory; raises whatever numpy does."""
    with open_regular(path) as file:
        array_header(file, path.stat().st_size)
    with np.errstate(over="raise"):  # Beside a side of 0, others may be larger than any number.
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
        return array


class ArrayHeader(NamedTuple):
    """What the head of an array in NumPy's format says, which is ``length`` bytes long."""

    shape: tuple[int, ...]
    column_major: bool
    dtype: np.dtype[Any]
    length: int


@_of_python_2()
def array_header(file: IO[bytes], size: int) -> ArrayHeader:
    """The header of an array of ``size`` bytes, header and all, at which a file stands.

    NumPy makes room for header and numbers before it reads them, so what is larger is refused.

    Raises:
        ValueError: it says to be larger than that, or is no array.
    """
    first = np.lib.format.read_magic(file) == (1, 0)
    packed = file.read(2 if first else 4)
    length = int.from_bytes(packed, "little")
    if length > size:
        raise ValueError(f"it has no header of {length} bytes")
    header = io.BytesIO(packed + file.read(length))
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    try:
        shape, column_major, dtype = read(header)
    except MemoryError:  # Of Python's parser, whose own stack is meant.
        raise ValueError("its header is nested too deeply") from None
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"it has no {math.prod(shape)} values of {dtype}")
    return ArrayHeader(shape, column_major, dtype, _MAGIC + len(packed) + length)
