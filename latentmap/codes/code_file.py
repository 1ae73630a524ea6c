"""Code files of any program: codes of images, with the ids of these, and nothing that made them.

Memory holds ids and a few blocks of codes; the rows stay on disk. Shapes: ``n`` codes of ``d``
numbers each, which may have a shape of their own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from latentmap.codes.codes import Codes, Rows, SelectedRows, Space
from latentmap.codes.ids import pack_ids
from latentmap.codes.matching import IdIndex, find_ids
from latentmap.codes.raw_codes import Float32Rows, RawCodes
from latentmap.errors import PairError, SpaceError
from latentmap.files import file_kind, parse_json, reading
from latentmap.frames import Frame
from latentmap.printing import shortened

_BLOCK = 1 << 22  # Bytes of codes that are looked at together.
_NAMED = 3  # Examples that a message names.
_ADVICE = "write it again, as floats of shape (n, d) with ids"


@dataclass(frozen=True, eq=False)
class CodeFile:
    """The codes in a file: ``rows`` float32 ``(n, d)``, all finite, row ``i`` that of the image
    ``ids[i]``, each of which stands once; None where the file has no ids.

    ``shape`` is that of one code, ``(d,)`` or more numbers. ``fingerprint`` is the sha256 of all
    codes, whatever the file is called and of whatever kind it is. ``space``, ``frame`` and ``data``
    are what a file of ours says of them, None and empty for others. ``positional`` tells that the
    ids are but the positions of the rows.
    """

    title: str
    rows: Rows
    shape: tuple[int, ...]
    ids: np.ndarray | None
    fingerprint: str
    space: Space | None = None
    frame: Frame | None = None
    data: str = ""
    positional: bool = False

    def __len__(self) -> int:
        return self.rows.shape[0]

    def __repr__(self) -> str:
        return f"<CodeFile {self.title}: {len(self)} codes of shape {self.shape}>"

    def named(self, ids: np.ndarray, source: str) -> CodeFile:
        """The same codes with ``ids`` ``(n,)``, which ``source`` gives.

        Raises:
            PairError: they are not as many.
            SpaceError: one is empty or stands twice.
        """
        if len(ids) != len(self):
            raise PairError(
                f"{self.title} has {len(self):,} codes, but {source} gives {len(ids):,} ids: give "
                "one id for each row, in the order of the rows"
            )
        _check_ids(ids, source)
        return replace(self, ids=ids)

    def codes_of(self, ids: np.ndarray, digests: np.ndarray, *, space: Space, data: str) -> Codes:
        """The codes of those of some images ``(m,)`` that the file has, in their order; ``digests``
        ``(m, 16)`` are their contents, and ``data`` is their fingerprint.

        Raises:
            PairError: it has none of them, or its rows have no ids.
        """
        if self.ids is None:
            raise PairError(self.without_ids)
        rows = find_ids(self.ids, ids)
        found = np.flatnonzero(rows >= 0)
        if not len(found):
            raise PairError(
                f"{self.title} has no code of any of the {len(ids):,} images: its ids are such as "
                f"{examples(self.ids)}, those of the images such as {examples(ids)}; they must be "
                "equal"
            )
        whole = len(found) == len(ids)
        return Codes(
            ids if whole else ids[found],
            SelectedRows(self.rows, rows if whole else rows[found]),
            space,
            self.frame or Frame(),
            data,
            digests if whole else digests[found],
        )

    @property
    def without_ids(self) -> str:
        """What to do where the file has no ids."""
        return (
            f"{self.title} does not say which image each row is of: give --row-ids FILE, or say "
            "with --by-position that row i of every file is of the same image"
        )


def by_position(files: Sequence[CodeFile], images: np.ndarray | None = None) -> list[CodeFile]:
    """Files without ids, of which row ``i`` of each is of the same image: the one with the id
    ``images[i]``, where there are images, else the one in that place.

    Raises:
        PairError: a file has ids, or their rows are not as many.
    """
    for file in files:
        if file.ids is not None:
            raise PairError(
                f"{file.title} says by its ids which image each row is of, so its rows cannot be "
                "paired by position too: leave --by-position out, or give the others --row-ids"
            )
        if images is not None and len(file) != len(images):
            raise PairError(
                f"by position there must be one row for each image, but {file.title} has "
                f"{len(file):,} rows, and there are {len(images):,} images"
            )
        if len(file) != len(files[0]):
            raise PairError(
                f"by position all files must have as many rows, but {files[0].title} has "
                f"{len(files[0]):,} and {file.title} {len(file):,}"
            )
    if images is not None:
        return [replace(file, ids=images) for file in files]
    positions = np.arange(len(files[0])).astype(f"U{len(str(len(files[0])))}")
    return [replace(file, ids=positions, positional=True) for file in files]


def examples(ids: np.ndarray) -> str:
    """The first ids, as text."""
    names = ", ".join(shortened(str(name)) for name in ids[:_NAMED])
    return f"{names}, ..." if len(ids) > _NAMED else names


def check_code_file(title: str, raw: RawCodes) -> CodeFile:
    """What a reader found, looked through once: every code finite, every id there and once.

    Raises:
        SpaceError: that is not so.
        ValueError: shapes do not fit; the message is short, for ``reading`` to add to.
    """
    n, shape = raw.rows.shape[0], raw.rows.shape[1:]
    if n == 0 or math.prod(shape) == 0:
        raise ValueError(f"it has no codes: shape {raw.rows.shape}")
    made_by = parse_json(raw.provenance)
    own = Space.from_json(made_by["space"]) if "space" in made_by else None
    if own is not None:
        if own.dim != math.prod(shape):
            raise ValueError(f"codes of {math.prod(shape)} numbers, and a space of {own.dim}")
        shape = own.shape
    if raw.ids is not None:
        if raw.ids.shape != (n,):
            raise ValueError(f"{n} codes, and ids of shape {raw.ids.shape}")
        _check_ids(raw.ids, title)
        pack_ids(raw.ids)  # Of letters that no encoding has, no file could be written.
    rows = Float32Rows(raw.rows)
    frame = Frame.from_json(made_by["frame"]) if "frame" in made_by else None
    digest = _digest_of(title, rows, shape, raw.ids)
    return CodeFile(title, rows, shape, raw.ids, digest, own, frame, str(made_by.get("data", "")))


def _digest_of(
    title: str, rows: Float32Rows, shape: tuple[int, ...], ids: np.ndarray | None
) -> str:
    """The sha256 of all codes, in one pass in which each is seen to be finite."""
    n, d = rows.shape
    digest = hashlib.sha256(f"codes {n} x {shape}\n".encode())
    step = max(1, _BLOCK // (4 * d))
    for start in range(0, n, step):
        block = np.ascontiguousarray(rows.read(start, min(start + step, n)), "<f4")
        # A sum is not finite where a number is not, and costs a third of looking at each.
        with np.errstate(over="ignore", invalid="ignore"):
            suspect = not np.isfinite(block.sum(dtype=np.float64))
        if suspect:
            bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
            row = start + int(bad[0])
            whose = "" if ids is None else f", of {ids[row]}"
            raise SpaceError(
                f"{title} must hold finite codes, but that in row {row}{whose} is not: leave such "
                "rows out, or make them again"
            )
        digest.update(block.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _check_ids(ids: np.ndarray, title: str) -> None:
    empty = np.flatnonzero(ids == "")
    if len(empty):
        raise SpaceError(
            f"{title} has no id for {len(empty):,} of {len(ids):,} rows, the first is row "
            f"{empty[0]}: give every row the id of its image"
        )
    repeated = IdIndex.of(ids).repeated()
    if len(repeated):
        raise SpaceError(
            f"{title} has some ids twice ({examples(repeated)}): leave one row of each image"
        )


def open_code_file(
    path: str | Path, *, codes: str | None = None, ids: str | None = None
) -> CodeFile:
    """The codes in a ``.npz``, ``.npy``, ``.h5`` or ``.parquet`` file, or in ``.tar`` shards such
    as ``shards-{000..003}.tar``, whose members ``KEY.npy`` are a code each.

    ``codes`` and ``ids`` are the names of the arrays, datasets or columns; by default ``codes``, or
    the only one of floats, and ``ids``, if there is one, in a table also ``id``. The ids of the
    codes in ``a.npy`` are those in ``a.ids.txt``, one a line, if that lies beside it.

    Raises:
        SpaceError: there is no such file, it cannot be read, its codes are no finite floats, or an
            id is missing or stands twice.
    """
    from latentmap.codes.code_readers import reader_of, shards_of

    title = str(path)
    read = reader_of(title)
    paths = shards_of(title)
    for one in paths:
        if not one.exists():
            raise SpaceError(f"there is no file {one}: give a file of codes")
        with reading(one, SpaceError, _ADVICE, what="cannot be read as codes"):
            kind = file_kind(one)
            if kind is not None and kind.broken:
                raise ValueError(f"it is {kind.what}: {kind.advice}")
    with reading(paths[0], SpaceError, _ADVICE, what="cannot be read as codes"):
        return check_code_file(title, read(paths, codes, ids))
