"""The readers of code files, by suffix: arrays of NumPy and HDF5 here, tables and shards beside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes.ids import unpack_ids
from latentmap.codes.ids_file import ids_beside, read_ids
from latentmap.codes.raw_codes import RawCodes, as_ids, chosen_codes, name_of_ids
from latentmap.errors import SpaceError
from latentmap.files import open_arrays
from latentmap.files.array_places import PlacedArray, place_arrays
from latentmap.files.file_sets import numbered_names
from latentmap.files.hdf5_files import LETTER, Hdf5File, look_into_hdf5

CODE_SUFFIXES = (".npz", ".npy", ".h5", ".hdf5", ".parquet", ".tar")

ReadCodes = Callable[[list[Path], str | None, str | None], RawCodes]


def is_code_file(reference: str) -> bool:
    """Whether a reference is that of a file of codes, by its suffix.

    Example:
        >>> is_code_file("a.npz"), is_code_file("a.npz?codes=z"), is_code_file("svae")
        (True, True, False)
    """
    return reference.partition("?")[0].lower().endswith(CODE_SUFFIXES)


def reader_of(title: str) -> ReadCodes:
    """What reads the code files of a suffix.

    Raises:
        SpaceError: there is no such kind of code files.
    """
    suffix = Path(title).suffix.lower()
    if suffix == ".tar":
        from latentmap.codes.code_shards import read_shards

        return read_shards
    if suffix == ".parquet":
        from latentmap.codes.code_tables import read_parquet

        return read_parquet
    if suffix in (".npz", ".npy"):
        return _read_arrays
    if suffix in (".h5", ".hdf5"):
        return _read_hdf5
    raise SpaceError(f"{title} must end in one of {', '.join(CODE_SUFFIXES)} to be a file of codes")


def shards_of(title: str) -> list[Path]:
    """The files that a name stands for: ``a-{00..02}.tar`` are three.

    Raises:
        SpaceError: there are none, or too many.
    """
    if not title.lower().endswith(".tar"):
        return [Path(title)]
    return [Path(name) for name in numbered_names(title, SpaceError)]


def _read_arrays(paths: list[Path], codes: str | None, ids: str | None) -> RawCodes:
    (path,) = paths
    arrays = place_arrays(path, SpaceError)
    if "" in arrays:
        if codes is not None or ids is not None:
            raise ValueError("it holds one array without a name, so there is none to choose")
        chosen_codes({"codes": _kind_of(arrays[""])}, None)
        beside = ids_beside(path)
        return RawCodes(arrays[""].rows(), read_ids(beside) if beside.exists() else None)
    kinds = {name: _kind_of(one) for name, one in arrays.items() if name != "provenance"}
    names = name_of_ids(list(kinds), ids)
    key = chosen_codes({name: one for name, one in kinds.items() if name != names}, codes)
    with open_arrays(path, SpaceError) as readers:
        # Bytes become letters of four bytes each.
        found = None if names is None else as_ids(readers[names](copies=5))
        provenance = str(readers["provenance"]()) if "provenance" in readers else "{}"
    return RawCodes(arrays[key].rows(), found, provenance)


def _kind_of(array: PlacedArray) -> tuple[np.dtype[Any], int]:
    return array.header.dtype, len(array.header.shape)


def _read_hdf5(paths: list[Path], codes: str | None, ids: str | None) -> RawCodes:
    (path,) = paths
    wanted = ids or "ids"
    file = look_into_hdf5(path, attributes=("provenance",), texts=(wanted,))
    kinds = {
        name: (one.dtype, len(one.shape)) for name, one in file.datasets.items() if name != wanted
    }
    key = chosen_codes(kinds, codes)
    provenance = file.attributes.get("provenance", "{}")
    if not isinstance(provenance, str):
        raise ValueError("its provenance is no text")
    return RawCodes(file.rows(key), _hdf5_ids(file, wanted, asked=ids is not None), provenance)


def _hdf5_ids(file: Hdf5File, name: str, *, asked: bool) -> np.ndarray | None:
    names = file.texts.get(name)
    if isinstance(names, list):
        longest = max(map(len, names), default=0)
        file.require_room(LETTER * len(names) * longest, f"ids of up to {longest} letters")
        return np.array(names, np.str_)
    if name not in file.datasets and name not in file.refused and not asked:
        return None
    if file.stored(name).dtype.kind == "S":
        return unpack_ids(file.read_texts(name))
    return as_ids(file.read(name))
