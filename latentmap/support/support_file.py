"""The file of a support set: HDF5, every array in one piece, read with care.

Shapes: ``n`` images, ``d`` latent variables, ``2^k`` sectors with ``m`` members.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes import pack_ids, unpack_ids
from latentmap.errors import SupportError
from latentmap.files import create_hdf5, file_kind, parse_json, reading, replace_atomic
from latentmap.files.hdf5_files import Hdf5File, look_into_hdf5
from latentmap.files.kinds import HDF5

_FORMAT = "latentmap-support"
_SCHEMA = 1
# The type of each array, and how many axes it has.
_TYPES = {
    "ids": ("S", 1),
    "digests": ("|u1", 2),
    "codes": ("<f4", 2),
    "sector": ("<i8", 1),
    "reach": ("<f8", 1),
    "relaxed": ("|u1", 1),
    "filled": ("|u1", 1),
    "occupancy": ("<i8", 1),
    "orthants": ("<i8", 1),
    "member_ids": ("S", 1),
    "member_digests": ("|u1", 2),
    "member_sectors": ("<i8", 1),
    "unit_occupancy": ("<i8", 1),
    "unit_orthants": ("<i8", 1),
    "images": ("|u1", 4),
    "record": ("|u1", 1),
}
# They may be None, or unknown to the version that wrote the file.
MAYBE = ("unit_occupancy", "unit_orthants", "images")
# An array without any row would have no place in the file.
_OPTIONAL = ("member_ids", "member_digests", "member_sectors", *MAYBE)


def write_support(path: Path, arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> None:
    """Writes the arrays of a support set, by name, and its record as JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    text = json.dumps(record, sort_keys=True).encode()
    with replace_atomic(path) as temporary, create_hdf5(temporary) as (file, _):
        file.attrs["format"] = _FORMAT
        file.attrs["schema_version"] = _SCHEMA
        for name, array in arrays.items():
            if name in _OPTIONAL and len(array) == 0:
                continue
            texts = _TYPES[name][0] == "S"
            stored = pack_ids(array) if texts else array.astype(_TYPES[name][0])
            file.create_dataset(name, data=stored)
        file.create_dataset("record", data=np.frombuffer(text, np.uint8))


def holds_support(path: Path) -> bool:
    """Whether a file is a support set, sound or damaged, and no set of images."""
    try:
        # Cheap to tell, where images of any kind may be meant.
        if not path.is_file() or file_kind(path) is not HDF5:
            return False
        return _look(path).attributes.get("format") == _FORMAT
    except (OSError, ValueError):
        return False


def read_support(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays of a support set, by name, and its record; ``images`` is None without pixels, and
    so are the counts of units where the file has none.

    Raises:
        SupportError: the file is missing, cut off, or holds no support set.
    """
    if not path.is_file():
        raise SupportError(f"there is no file {path}: make one with `latentmap support build`")
    advice = "give a file of `latentmap support build`"
    with reading(path, SupportError, advice, what="cannot be read as a support set"):
        kind = file_kind(path)
        if kind is not None and kind.broken:
            raise ValueError(f"it is {kind.what}: {kind.advice}")
        file = _look(path)
        if file.attributes.get("format") != _FORMAT:
            raise ValueError("it says that it is something else")
        if (schema := file.attributes.get("schema_version")) != _SCHEMA:
            raise ValueError(f"its format is {schema}, not {_SCHEMA}")
        arrays: dict[str, Any] = {
            name: _read(file, name)
            for name in _TYPES
            if name not in _OPTIONAL or name in (*file.datasets, *file.refused)
        }
        record = parse_json(arrays.pop("record").tobytes())
        arrays.setdefault("member_ids", np.array([], "S1"))
        arrays.setdefault("member_digests", np.zeros((0, 16), np.uint8))
        arrays.setdefault("member_sectors", np.array([], np.int64))
        for name in ("ids", "member_ids"):
            arrays[name] = unpack_ids(arrays[name])
        for name in ("relaxed", "filled"):
            arrays[name] = arrays[name] != 0
        for name in MAYBE:
            arrays.setdefault(name, None)
        _check(arrays)
    return arrays, record


def _look(path: Path) -> Hdf5File:
    return look_into_hdf5(path, attributes=("format", "schema_version"))


def _read(file: Hdf5File, name: str) -> np.ndarray:
    """One array, after a look at its type and its number of axes."""
    kind, axes = _TYPES[name]
    stored = file.stored(name)
    told = stored.dtype.kind if kind == "S" else stored.dtype.str
    if len(stored.shape) != axes or told != kind:
        raise ValueError(f"{name} has type {stored.dtype} and shape {stored.shape}")
    if stored.offset is None:
        raise ValueError(f"{name} is empty, or not in the file in one piece")
    return file.read_texts(name) if kind == "S" else file.read(name)


def _check(arrays: Mapping[str, Any]) -> None:
    n, sectors = len(arrays["ids"]), len(arrays["occupancy"])
    for name in ("digests", "codes", "sector", "reach", "relaxed", "filled", "images"):
        if arrays[name] is not None and len(arrays[name]) != n:
            raise ValueError(f"{name} has {len(arrays[name])} rows for {n} images")
    if arrays["digests"].shape[1] != 16 or len(arrays["orthants"]) != sectors:
        raise ValueError("digests or counts have another shape")
    of_units = [arrays["unit_occupancy"], arrays["unit_orthants"]]
    if any(one is not None for one in of_units) and not all(
        one is not None and len(one) == sectors for one in of_units
    ):
        raise ValueError("the counts of units have another shape")
    of_members = arrays["member_sectors"]
    if len(of_members) and not 0 <= of_members.min() <= of_members.max() < sectors:
        raise ValueError(f"a sector of a member is not among the {sectors}")
    if len(of_members) != len(arrays["member_ids"]):
        raise ValueError("members have another number of sectors")
    if arrays["member_digests"].shape != (len(of_members), 16):
        raise ValueError("the digests of members have another shape")
    if len(of_members) and not np.array_equal(
        np.bincount(of_members, minlength=sectors), arrays["occupancy"]
    ):
        raise ValueError("the members of sectors are not as many as it counts")
    if arrays["images"] is not None and arrays["images"].shape[3] not in (1, 3):
        raise ValueError(f"its images have {arrays['images'].shape[3]} channels, not 1 or 3")
    if arrays["sector"].min() < 0 or arrays["sector"].max() >= sectors:
        raise ValueError(f"a sector is not among the {sectors}")
    if not np.isfinite(arrays["codes"]).all() or np.isnan(arrays["reach"]).any():
        raise ValueError("codes are not finite")
