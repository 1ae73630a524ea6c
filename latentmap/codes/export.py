"""Export: the codes of one entry as one file, for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes.codes import Codes
from latentmap.codes.ids import pack_ids
from latentmap.errors import OutputError
from latentmap.files import create_hdf5, refuse_existing, replace_atomic

_BLOCK = 8192


def export_codes(
    codes: Codes, path: str | Path, *, provenance: Mapping[str, Any], force: bool
) -> None:
    """Writes ``ids`` and ``codes`` to ``path``, whole or not at all.

    ``.npz`` holds both as arrays, for which all codes are in memory at once. ``.h5`` holds both as
    contiguous datasets, written block by block. Both say in ``provenance``, a JSON text (an array
    or an attribute), what made the codes: what is given here, and the codes' own ``space``,
    ``frame`` and ``data``.

    Raises:
        OutputError: ``path`` exists without ``force``, has another suffix, or cannot be written.
    """
    path = Path(path)
    refuse_existing(path, force=force)
    require_code_suffix(path)
    own = {"space": codes.space.to_json(), "frame": codes.frame.to_json(), "data": codes.data}
    record = json.dumps({**provenance, **own}, sort_keys=True)
    with replace_atomic(path) as temporary:
        if path.suffix == ".npz":
            vectors = codes.rows.read(0, len(codes))
            np.savez(temporary, ids=codes.ids, codes=vectors, provenance=np.array(record))
        else:
            _write_hdf5(codes, temporary, record)


def require_code_suffix(path: str | Path) -> None:
    """Refuses an output path for codes whose suffix is of no code file, before any work is done.

    Raises:
        OutputError: the suffix is neither ``.npz`` nor ``.h5``.
    """
    if Path(path).suffix not in (".npz", ".h5"):
        raise OutputError(f"{path} must end in .npz or .h5: that decides the format")


def _write_hdf5(codes: Codes, path: Path, provenance: str) -> None:
    import h5py

    names = pack_ids(codes.ids)
    utf8 = h5py.string_dtype("utf-8", names.dtype.itemsize)
    with create_hdf5(path) as (file, disk):
        file.attrs["format"] = "latentmap-codes"
        file.attrs["schema_version"] = 1
        file.attrs["provenance"] = provenance
        file.create_dataset("ids", data=names.astype(utf8))
        dataset = file.create_dataset("codes", shape=codes.rows.shape, dtype="<f4")
        for start in range(0, len(codes), _BLOCK):
            stop = min(start + _BLOCK, len(codes))
            dataset[start:stop] = codes.rows.read(start, stop)
            disk.check()
