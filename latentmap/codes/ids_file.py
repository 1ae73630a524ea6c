"""Files that say which image each row of a file of codes is of."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from latentmap.codes.raw_codes import as_ids, listed
from latentmap.errors import OutputError, SpaceError
from latentmap.files import open_arrays, open_regular, reading
from latentmap.files.array_places import place_arrays
from latentmap.limits import Allowance

_ID = 200  # Bytes of memory for an id beside its letters.
_LETTER = 4
_COPIES = 3
_BLOCK = 1 << 14  # Ids that are written at a time.
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


def ids_beside(path: Path) -> Path:
    """Where the ids of the codes in a ``.npy`` file are, which holds one array alone: in
    ``codes.ids.txt`` those of ``codes.npy``.
    """
    return path.with_suffix(".ids.txt")


def write_ids(ids: np.ndarray, path: Path) -> None:
    """Writes ids to a text, one a line, as ``read_ids`` takes them.

    Raises:
        OutputError: one is empty, holds the end of a line, or is no UTF-8.
        OSError: the disk does not take it.
    """
    with path.open("wb") as file:
        for start in range(0, len(ids), _BLOCK):
            names = ids[start : start + _BLOCK].tolist()
            for name in names:
                if not _is_line(name):
                    raise OutputError(
                        f"the id {name!r} is no line of a text, as ids beside a .npy are: export "
                        ".npz or .h5"
                    )
            file.write("".join(f"{name}\n" for name in names).encode())


def _is_line(name: str) -> bool:
    """Whether a name is read again as it was where it is a line of UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    # A mark of the order of bytes is left out where a text begins with it.
    return name.splitlines() == [name] and not name.startswith("\ufeff")


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
