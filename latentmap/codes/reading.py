"""Code files: codes that came out of a cache as one file, read again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.codes.code_file import open_code_file
from latentmap.codes.codes import Codes, Space
from latentmap.codes.ids import pack_ids, unpack_ids
from latentmap.errors import SpaceError
from latentmap.files import file_kind, open_arrays, parse_json, reading
from latentmap.files.hdf5_files import LETTER, Hdf5File, look_into_hdf5
from latentmap.frames import Frame


def read_codes(path: str | Path, *, space: Space, frame: Frame | None = None) -> Codes:
    """The codes in a ``.npz`` or ``.h5`` file that holds ``ids`` and ``codes``, in memory; or in
    another file of codes, see ``open_code_file``, where they stay on disk. Rows without ids are
    called by their positions.

    A file that says what made it, as all of ``export_codes`` but ``.npy`` do, must agree with
    ``space``, and knows its frame and data; any other is taken to be in ``space``, seen in
    ``frame``. The images are known by their ids alone.

    Raises:
        SpaceError: the file is missing, is no such file, its codes are in another space or not all
            finite, or an id stands twice.
    """
    path = Path(path)
    if path.suffix not in (".npz", ".h5"):
        return _on_disk(path, space, frame)
    if not path.exists():
        raise SpaceError(f"there is no file {path}: write one with `latentmap cache export`")
    advice = "give a file of `latentmap cache export`"
    with reading(path, SpaceError, advice, what="cannot be read as ids and codes"):
        kind = file_kind(path)
        if kind is not None and kind.broken:
            raise ValueError(f"it is {kind.what}: {kind.advice}")
        content = _read_npz(path) if path.suffix == ".npz" else _read_hdf5(path)
        if content.ids.ndim != 1:
            raise ValueError(f"ids of shape {content.ids.shape}")
        made_by = parse_json(content.provenance)
        made_in = Space.from_json(made_by["space"]) if "space" in made_by else space
        seen = Frame.from_json(made_by["frame"]) if "frame" in made_by else frame
        data = str(made_by.get("data", ""))
    space.require(made_in, f"the codes in {path}")
    _check(path, content, space)
    return Codes.from_array(content.ids, content.vectors, space=space, frame=seen, data=data)


def _on_disk(path: Path, space: Space, frame: Frame | None) -> Codes:
    file = open_code_file(path)
    if file.space is not None:
        space.require(file.space, f"the codes in {path}")
    if math.prod(file.shape) != space.dim:
        raise SpaceError(
            f"{path} must hold codes of {space.dim} variables for {space}, not of shape "
            f"{file.shape}"
        )
    names = np.arange(len(file)).astype(f"U{len(str(len(file)))}") if file.ids is None else file.ids
    unknown = np.zeros((len(file), 16), np.uint8)
    return Codes(names, file.rows, space, file.frame or frame or Frame(), file.data, unknown)


@dataclass(frozen=True, eq=False)
class _Content:
    ids: np.ndarray
    vectors: np.ndarray
    provenance: str


def _check(path: Path, content: _Content, space: Space) -> None:
    ids, vectors = content.ids, content.vectors
    if vectors.shape != (len(ids), space.dim):
        raise SpaceError(
            f"{path} must hold {len(ids)} codes of {space.dim} variables for {space}, "
            f"not an array of shape {vectors.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise SpaceError(
            f"{path} must hold finite codes, but {len(bad)} of {len(ids)} are not, the first of "
            f"{ids[bad[0]]}: make them again"
        )
    names, counts = np.unique(ids, return_counts=True)
    if len(names) < len(ids):
        most = counts.argmax()
        raise SpaceError(
            f"{path} must hold every id once, but {names[most]} stands there {counts[most]} times: "
            "leave one code of each image"
        )


def _read_npz(path: Path) -> _Content:
    with open_arrays(path, SpaceError) as arrays:
        provenance = str(arrays["provenance"]()) if "provenance" in arrays else "{}"
        # Bytes become letters of four bytes each, other numbers float32.
        ids = arrays["ids"](copies=5).astype(np.str_)
        pack_ids(ids)  # Of letters that no encoding has, no file could be written.
        return _Content(ids, _as_float32(arrays["codes"](copies=2)), provenance)


def _read_hdf5(path: Path) -> _Content:
    file = look_into_hdf5(path, attributes=("provenance",), texts=("ids",))
    return _Content(_ids_of(file), _as_float32(file.read("codes")), _provenance_of(file))


def _ids_of(file: Hdf5File) -> np.ndarray:
    names = file.texts.get("ids")
    if not isinstance(names, list):
        return unpack_ids(file.read_texts("ids"))
    longest = max(map(len, names), default=0)
    file.require_room(LETTER * len(names) * longest, f"ids of up to {longest} letters")
    return np.array(names, np.str_)


def _provenance_of(file: Hdf5File) -> str:
    provenance = file.attributes.get("provenance", "{}")
    if not isinstance(provenance, str):
        raise ValueError("its provenance is no text")
    return provenance


def _as_float32(vectors: np.ndarray) -> np.ndarray:
    if vectors.dtype.kind not in "iuf":  # Others would lose a part, or what they mean.
        raise ValueError(f"codes are real numbers, not {vectors.dtype}")
    # What is too large becomes infinite, and is refused as that.
    with np.errstate(over="ignore"):
        return vectors.astype(np.float32)
