"""HDF5 files of strangers: what is in them, and the values of their datasets.

A process of its own looks into a file once (hdf5_process.py). What lies in one piece is then read
past HDF5; what is compressed or in chunks comes from such a process, row by row.

Errors are short, for ``reading`` to put a path before and an advice behind.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from latentmap.files.file_rows import FileRows
from latentmap.files.hdf5_process import NO_ANSWER, ReadingProcess
from latentmap.files.hdf5_rows import ServedRows, Stored
from latentmap.files.opening import Identity, identity_of, open_regular
from latentmap.limits import DEFLATE, advice, memory_for

_TYPE = re.compile(r"[<>|][biufS][0-9]{1,9}")
_LONGEST_TYPE = 1_000_000  # Bytes of one value.
_AXES = 32
# A piece is there several times: before each filter and after it, and in a cache.
_COPIES = 6

# Bytes that a letter takes in an array of texts, which gives each text the room of the longest.
LETTER = 4


@dataclass(frozen=True, eq=False)
class Hdf5File:
    """What is in an HDF5 file, or in the part of a file that is one, ``size`` bytes from ``start``.

    ``datasets`` and ``groups`` are those that hard links lead to, by their ways from the root;
    ``refused`` says of other links and datasets why they are none. ``complete`` tells whether that
    is all: walks have an end. ``attributes`` (None where one is no text and no whole number) and
    ``texts`` are those that were asked for, as far as they are there.
    """

    path: Path
    identity: Identity
    start: int
    size: int
    datasets: Mapping[str, Stored]
    refused: Mapping[str, str] = field(default_factory=dict)
    groups: Sequence[str] = ()
    attributes: Mapping[str, str | int | None] = field(default_factory=dict)
    texts: Mapping[str, str | list[str]] = field(default_factory=dict)
    complete: bool = True

    def stored(self, name: str) -> Stored:
        """The dataset of a name.

        Raises:
            ValueError: it is missing, or is none that is read.
        """
        if name not in self.datasets:
            raise ValueError(f"{name} is {self.refused.get(name, 'missing')}")
        return self.datasets[name]

    def text(self, name: str) -> str:
        """The one text in a dataset.

        Raises:
            ValueError: there is none.
        """
        text = self.texts.get(name)
        if not isinstance(text, str):
            raise ValueError(f"{name} is {'no text' if name in self.datasets else 'missing'}")
        return text

    def read_texts(self, name: str) -> np.ndarray:
        """A row of texts of one length in the file ``(n,)``, as bytes.

        Raises:
            ValueError: there is none, or as text they take more memory than a file of its size may.
            OSError: the file is gone.
        """
        one = self.stored(name)
        if len(one.shape) != 1 or one.dtype.kind != "S":
            raise ValueError(f"{name} must be texts, not {one.dtype} of shape {one.shape}")
        self.require_room(LETTER * one.nbytes, f"the texts of {name}")
        return self.read(name)

    def require_room(self, size: int, what: str) -> None:
        """Refuses ``what`` needs more bytes of memory than a file of this size may ask for.

        Raises:
            ValueError: that is so.
        """
        if size > memory_for(self.size):
            raise ValueError(f"it needs {size} bytes of memory for {what}; {advice('memory')}")

    def map(self, name: str, *, writable: bool = False) -> np.memmap[Any, Any]:
        """The values of a dataset that lies in one piece, mapped into memory, where they may be
        written to if they are ``writable``: the file stays as it is.

        Raises:
            ValueError: it does not, or has no values.
            OSError: the file is gone.
        """
        one = self.stored(name)
        if one.offset is None or not one.nbytes:
            raise ValueError(f"{name} is not in one piece")
        with _opened(self.path, self.identity) as file:
            mode: Literal["c", "r"] = "c" if writable else "r"
            return np.memmap(file, one.dtype, mode, self.start + one.offset, one.shape)

    def served(self, name: str) -> ServedRows:
        """The rows of a dataset, as a process of its own reads them.

        Raises:
            ValueError: it is missing, or is none that is read.
        """
        one = self.stored(name)
        return ServedRows(partial(_process, self.path, self.identity, self.start, self.size), one)

    def rows(self, name: str) -> FileRows | ServedRows:
        """The rows of a dataset, read when they are wanted, past HDF5 where it lies in one piece.

        Raises:
            ValueError: it is missing, or is none that is read.
            OSError: the file is gone.
        """
        one = self.stored(name)
        if one.offset is None:
            return self.served(name)
        with _opened(self.path, self.identity) as file:
            return FileRows(file.fileno(), one.dtype, one.shape, self.start + one.offset)

    def read(self, name: str) -> np.ndarray:
        """All values of a dataset, in memory.

        Raises:
            ValueError: it cannot be read, or has more values than a file of its size may.
            OSError: the file is gone.
        """
        one = self.stored(name)
        if one.offset is None:
            self.require_room(one.nbytes, name)
            if not one.shape:
                raise ValueError(f"{name} is a single value")
            return self.served(name)[:]
        with _opened(self.path, self.identity) as file:
            file.seek(self.start + one.offset)
            values = np.fromfile(file, one.dtype, math.prod(one.shape))
        return values.reshape(one.shape)


def look_into_hdf5(
    path: str | Path,
    *,
    name: str | None = None,
    attributes: Sequence[str] = (),
    texts: Sequence[str] = (),
    part: tuple[int, int] | None = None,
) -> Hdf5File:
    """What is in an HDF5 file, or only the dataset of a ``name``, which a soft link within the file
    may lead to.

    ``attributes`` and ``texts`` are the names of those to read, of an attribute of a group with the
    way to that before it; ``part`` is where in the file the HDF5 file begins, and its size. A file
    is looked into once a process, unless it was written to since.

    Raises:
        ValueError: it is no HDF5 file, is damaged, or takes more time or memory than a file may.
        OSError: it cannot be opened.
    """
    path = Path(path).absolute()
    with _opened(path) as file:
        identity = identity_of(file)
    start, size = (0, identity.size) if part is None else part
    return _look(path, identity, start, size, name, tuple(attributes), tuple(texts))


@lru_cache(maxsize=8)
def _look(
    path: Path,
    identity: Identity,
    start: int,
    size: int,
    name: str | None,
    attributes: tuple[str, ...],
    texts: tuple[str, ...],
) -> Hdf5File:
    process = _process(path, identity, start, size)
    try:
        answer, _ = process.ask({"name": name, "attributes": attributes, "texts": texts})
    finally:
        process.end()
    try:
        return _checked(answer, path, identity, start, size)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(NO_ANSWER) from error


def _process(path: Path, identity: Identity, start: int, size: int) -> ReadingProcess:
    with _opened(path, identity) as file:
        return ReadingProcess(file, start, size)


def _checked(
    answer: dict[str, Any], path: Path, identity: Identity, start: int, size: int
) -> Hdf5File:
    """The answer of a process, if it is of the form that it should have."""
    datasets, refused = {}, {str(way): str(said) for way, said in answer["refused"].items()}
    for way, said in answer["datasets"].items():
        found = _stored(way, said, size)
        if isinstance(found, Stored):
            datasets[way] = found
        else:
            refused[way] = found
    for value in answer["attributes"].values():
        if not (value is None or isinstance(value, str | int)):
            raise TypeError
    for text in answer["texts"].values():
        lines = text if isinstance(text, list) else [text]
        if not all(isinstance(line, str) for line in lines):
            raise TypeError
    return Hdf5File(
        path,
        identity,
        start,
        size,
        datasets,
        refused,
        tuple(map(str, answer["groups"])),
        answer["attributes"],
        answer["texts"],
        answer["complete"] is True,
    )


def _stored(way: str, said: Any, size: int) -> Stored | str:
    """The dataset that an answer describes; why it is not read, if the file cannot hold it."""
    shape, offset, stored, chunk = (said[key] for key in ("shape", "offset", "stored", "chunk"))
    sides = [*shape, stored, chunk, 0 if offset is None else offset]
    if any(type(side) is not int or side < 0 for side in sides) or len(shape) > _AXES:
        raise TypeError
    if not _TYPE.fullmatch(said["dtype"]) or int(said["dtype"][2:]) > _LONGEST_TYPE:
        return "of a type that is too long"
    one = Stored(way, np.dtype(said["dtype"]), tuple(shape), offset)
    if one.offset is not None and one.offset + one.nbytes > size:
        return f"cut off: its {one.nbytes} bytes are not in the file"
    if one.offset is None:
        row = math.prod(one.shape[1:]) * one.dtype.itemsize
        most = memory_for(size)
        if _COPIES * max(row, chunk) > most:
            return f"in pieces of {max(row, chunk)} bytes; {advice('memory')}"
        if one.nbytes > most + DEFLATE * min(stored, size):
            return f"said to have {one.nbytes} bytes, of which the file holds {stored} compressed"
    return one


@contextmanager
def _opened(path: Path, identity: Identity | None = None) -> Iterator[IO[bytes]]:
    """A file, which must be the one of an identity, if there is one."""
    with open_regular(path) as file:
        if identity is not None and identity_of(file) != identity:
            raise ValueError("it was written to since it was opened")
        yield file
