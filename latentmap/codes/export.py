"""Export: codes as one file, for other programs and for reading again.

Whatever the format, memory holds the ids and a block of codes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from latentmap.codes.array_output import write_hdf5, write_npy, write_npz
from latentmap.codes.codes import Codes
from latentmap.codes.ids_file import ids_beside, write_ids
from latentmap.codes.table_output import require_pyarrow, write_parquet
from latentmap.errors import OutputError
from latentmap.files import refuse_existing, replace_atomic, replace_together

CodeFormat = Literal["npz", "npy", "h5", "parquet"]
CODE_FORMATS: tuple[CodeFormat, ...] = get_args(CodeFormat)
_SUFFIXES: dict[str, CodeFormat] = {
    ".npz": "npz",
    ".npy": "npy",
    ".h5": "h5",
    ".hdf5": "h5",
    ".parquet": "parquet",
}


def export_codes(
    codes: Codes,
    path: str | Path,
    *,
    provenance: Mapping[str, Any],
    force: bool,
    format: CodeFormat | None = None,
    thumbnails: Iterator[bytes] | None = None,
) -> None:
    """Writes codes and their ids to ``path``, whole or not at all, in a ``format`` that the suffix
    says where it is not given.

    ``npz`` holds ``ids`` and ``codes`` as arrays, ``h5`` as contiguous datasets. ``parquet`` has a
    row an image, with the columns ``id`` and ``codes``, lists of one length, and ``image`` where
    there are ``thumbnails``: files of images, in the order of the codes. All three say what made
    the codes in a JSON text, as an array or an attribute ``provenance``, or as ``latentmap`` in the
    metadata: what is given here, and the codes' own ``space``, ``frame`` and ``data``. ``npy``
    holds the codes alone, and beside ``codes.npy`` there are the ids in ``codes.ids.txt``.

    Raises:
        OutputError: ``path`` exists without ``force``, has another suffix, or cannot be written; or
            the format has no room for thumbnails, or for an id.
    """
    path = Path(path)
    kind = require_code_output(path, force=force, format=format)
    if thumbnails is not None and kind != "parquet":
        raise OutputError(f"thumbnails go into Parquet, not {kind}: choose .parquet")
    own = {"space": codes.space.to_json(), "frame": codes.frame.to_json(), "data": codes.data}
    record = json.dumps({**provenance, **own}, sort_keys=True)
    if kind == "npy":
        with replace_together(path, ids_beside(path)) as (array, ids):
            write_npy(codes, array)
            write_ids(codes.ids, ids)
        return
    with replace_atomic(path) as temporary:
        if kind == "npz":
            write_npz(codes, temporary, record)
        elif kind == "h5":
            write_hdf5(codes, temporary, record)
        else:
            write_parquet(codes, temporary, record, thumbnails)


def require_code_output(
    path: str | Path, *, force: bool, format: CodeFormat | None = None
) -> CodeFormat:
    """The format of an output path for codes, refused before any work is done where it cannot be
    written.

    Raises:
        OutputError: the path, or that of the ids beside it, exists without ``force``; its suffix
            says no format, or another one; or what writes that is not installed.
    """
    path = Path(path)
    refuse_existing(path, force=force)
    said = _SUFFIXES.get(path.suffix.lower())
    if said is None and format is None:
        *some, last = _SUFFIXES
        raise OutputError(
            f"{path} must end in {', '.join(some)} or {last}: that decides the format"
        )
    if said is not None and format is not None and said != format:
        raise OutputError(
            f"{path} ends as a file of {said} does, and {format} is asked for: give one of them, "
            "or another name"
        )
    kind = format or said
    assert kind is not None, "just seen"
    if kind == "npy":
        refuse_existing(ids_beside(path), force=force)
    if kind == "parquet":
        require_pyarrow()
    return kind
