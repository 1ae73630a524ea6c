"""The arrays of ``.npz`` and ``.npy`` files: each read when it is asked for, and no larger than it
may be, or mapped.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from latentmap.errors import LatentmapError
from latentmap.files.opening import open_regular
from latentmap.files.zip_directory import zip_directory
from latentmap.limits import Allowance


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


def _read(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, allowance: Allowance, *, copies: int = 1
) -> np.ndarray:
    # numpy touches no more memory than there are bytes, and zipfile gives no more than it says.
    allowance.spend(copies * member.file_size, f"the array {member.filename}")
    with archive.open(member) as content:
        array: np.ndarray = np.lib.format.read_array(content, allow_pickle=False)
    # A row of no bytes costs nothing in the file, and much wherever rows are counted or named.
    if array.ndim and array.nbytes < len(array):
        raise ValueError(f"{member.filename} has {len(array)} rows in {array.nbytes} bytes")
    return array


def map_array(path: Path) -> np.ndarray:
    """The array in a ``.npy`` file, mapped into memory; raises whatever numpy does."""
    with open_regular(path) as file:
        version = np.lib.format.read_magic(file)
        length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
        # numpy makes room for all that before it reads.
        if length > path.stat().st_size:
            raise ValueError(f"it has no header of {length} bytes")
    with np.errstate(over="raise"):  # A shape may be larger than any number.
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
        return array
