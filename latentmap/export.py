"""Export: the codes of one entry as one file, for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from latentmap.codes import Codes
from latentmap.errors import OutputError
from latentmap.files import refuse_existing, replace_atomic
from latentmap.shards import pack_ids

_BLOCK = 8192


def export_codes(codes: Codes, path: Path, *, provenance: Mapping[str, Any], force: bool) -> None:
    """Writes ``ids`` and ``codes`` to ``path``, whole or not at all.

    ``.npz`` holds both as arrays, for which all codes are in memory at once. ``.h5`` holds both as
    contiguous datasets, written block by block, and ``provenance`` as JSON in the attribute of
    that name.

    Raises:
        OutputError: ``path`` exists without ``force``, has another suffix, or cannot be written.
    """
    refuse_existing(path, force=force)
    if path.suffix not in (".npz", ".h5"):
        raise OutputError(f"{path} must end in .npz or .h5: that decides the format")
    with replace_atomic(path) as temporary:
        if path.suffix == ".npz":
            np.savez(temporary, ids=codes.ids, codes=codes.rows.read(0, len(codes)))
        else:
            _write_hdf5(codes, temporary, json.dumps(provenance, sort_keys=True))


def _write_hdf5(codes: Codes, path: Path, provenance: str) -> None:
    names = pack_ids(codes.ids)
    utf8 = h5py.string_dtype("utf-8", names.dtype.itemsize)
    file: Any = h5py.File(path, "w")
    with file:
        file.attrs["format"] = "latentmap-codes"
        file.attrs["schema_version"] = 1
        file.attrs["provenance"] = provenance
        file.create_dataset("ids", data=names.astype(utf8))
        dataset = file.create_dataset("codes", shape=codes.rows.shape, dtype="<f4")
        for start in range(0, len(codes), _BLOCK):
            stop = min(start + _BLOCK, len(codes))
            dataset[start:stop] = codes.rows.read(start, stop)
