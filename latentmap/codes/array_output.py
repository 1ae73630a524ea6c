"""Codes written as arrays, of NumPy and HDF5, block by block.

Shapes: ``n`` codes of ``d`` numbers each, float32 ``(n, d)``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from latentmap.codes.codes import Codes
from latentmap.codes.ids import pack_ids
from latentmap.files import create_hdf5


def write_npy(codes: Codes, path: Path) -> None:
    """Writes the codes alone, as one array.

    Raises:
        OSError: the disk does not take it.
    """
    with path.open("wb") as file:
        _write_array(codes, file)


def write_npz(codes: Codes, path: Path, provenance: str) -> None:
    """Writes the arrays ``ids``, ``codes`` and ``provenance``, uncompressed, as ``numpy.savez``
    does.

    Raises:
        OSError: the disk does not take it.
    """
    others = {"ids": codes.ids, "provenance": np.array(provenance)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in others.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        with archive.open("codes.npy", "w", force_zip64=True) as member:
            _write_array(codes, member)


def write_hdf5(codes: Codes, path: Path, provenance: str) -> None:
    """Writes the contiguous datasets ``ids`` and ``codes``, and the attribute ``provenance``.

    Raises:
        OSError: the disk does not take it.
    """
    import h5py

    names = pack_ids(codes.ids)
    utf8 = h5py.string_dtype("utf-8", names.dtype.itemsize)
    with create_hdf5(path) as (file, disk):
        file.attrs["format"] = "latentmap-codes"
        file.attrs["schema_version"] = 1
        file.attrs["provenance"] = provenance
        file.create_dataset("ids", data=names.astype(utf8))
        dataset = file.create_dataset("codes", shape=codes.rows.shape, dtype="<f4")
        start = 0
        for block in _blocks(codes):
            dataset[start : start + len(block)] = block
            start += len(block)
            disk.check()


def _write_array(codes: Codes, file: IO[bytes]) -> None:
    """The codes in NumPy's format."""
    head = {"descr": "<f4", "fortran_order": False, "shape": codes.rows.shape}
    np.lib.format.write_array_header_1_0(file, head)
    for block in _blocks(codes):
        file.write(block.reshape(-1).view(np.uint8).data)


def _blocks(codes: Codes) -> Iterator[np.ndarray]:
    """All codes in order, in rows of four-byte floats one after the other."""
    for start in range(0, len(codes), codes.block_size):
        stop = min(start + codes.block_size, len(codes))
        yield np.ascontiguousarray(codes.rows.read(start, stop), "<f4")
