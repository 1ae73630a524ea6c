"""Files that say which image each row of a file of codes is of."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from latentmap.codes.raw_codes import as_ids, listed
from latentmap.errors import SpaceError
from latentmap.files import open_arrays, open_regular, reading
from latentmap.files.array_places import place_arrays
from latentmap.limits import Allowance

_ID = 200  # Bytes of memory for an id beside its letters.
_LETTER = 4
_COPIES = 3
_KINDS = ".txt (one id a line), .csv (a column ids) or .npy"


def read_ids(path: str | Path) -> np.ndarray:
    """The ids in a file, as text ``(n,)``, in the order of the rows that they are for.

    ``.txt`` has one a line; ``.csv`` has a head and a column ``ids`` or ``id``, or only one;
    ``.npy`` holds texts or whole numbers, ``.npz`` has them as ``ids``.

    Raises:
        SpaceError: there is no such file, or it holds no ids.
    """
    path = Path(path)
    if not path.exists():
        raise SpaceError(f"there is no file {path}: give one of ids, {_KINDS}")
    suffix = path.suffix.lower()
    with reading(path, SpaceError, f"give {_KINDS}", what="cannot be read as ids"):
        if suffix == ".npy":
            (array,) = place_arrays(path, SpaceError).values()
            return as_ids(array.rows()[:])
        if suffix == ".npz":
            with open_arrays(path, SpaceError) as arrays:
                return as_ids(arrays["ids"](copies=5))
        if suffix == ".csv":
            return _as_array(path, _column(_text_of(path)))
        if suffix == ".txt":
            return _as_array(path, _text_of(path).splitlines())
        raise ValueError(f"its suffix is {suffix or 'missing'}")


def _text_of(path: Path) -> str:
    with open_regular(path) as file:
        return file.read().decode("utf-8-sig")


def _column(text: str) -> list[str]:
    rows = csv.reader(io.StringIO(text), strict=True)
    head = [name.strip() for name in next(rows, [])]
    named = [name for name in ("ids", "id") if name in head]
    if not named and len(head) != 1:
        raise ValueError(f"none of its columns is called ids: it has {listed(head) or 'none'}")
    place = head.index(named[0]) if named else 0
    found = []
    for number, row in enumerate(rows):
        if len(row) != len(head):
            raise ValueError(f"row {number} has {len(row)} values, not {len(head)}")
        found.append(row[place])
    return found


def _as_array(path: Path, names: list[str]) -> np.ndarray:
    longest = max(map(len, names), default=0)
    room = (_ID + _COPIES * _LETTER * longest) * len(names)
    Allowance(str(path), path.stat().st_size, SpaceError).spend(
        room, f"ids of up to {longest} letters"
    )
    return np.array(names, np.str_)
