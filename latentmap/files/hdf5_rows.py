"""The rows of a dataset in an HDF5 file of a stranger, which a process of its own reads."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.files.hdf5_process import ReadingProcess

# Of what a process is asked for at a time.
_BLOCK = 1 << 24
_RUNS = 256


@dataclass(frozen=True)
class Stored:
    """A dataset: ``offset`` is where its values begin in the file when they lie there in one piece,
    else None; it was found to end within the file.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int | None

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class ServedRows:
    """The rows of a dataset that needs HDF5, which a process of its own reads when they are wanted.

    ``begin`` starts one. Rows may be asked for in several threads, and in forks of this process.
    """

    def __init__(self, begin: Callable[[], ReadingProcess], stored: Stored) -> None:
        self._begin, self._name = begin, stored.name
        self.shape, self.dtype = stored.shape, stored.dtype
        self._row = math.prod(self.shape[1:]) * self.dtype.itemsize
        self._lock = threading.Lock()
        self._process: ReadingProcess | None = None
        self._owner = 0
        self._failure: str | None = None

    def __getitem__(self, index: Any, /) -> np.ndarray:
        """Rows of a slice without steps, or of rising positions.

        Raises:
            ValueError: they cannot be read.
            OSError: the file is gone, or another.
        """
        if isinstance(index, slice):
            start, stop, _ = index.indices(self.shape[0])
            runs = [(start, max(start, stop))]
        else:
            breaks = np.flatnonzero(np.diff(index) != 1) + 1
            runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(index, breaks) if len(run)]
        rows = np.empty((sum(stop - start for start, stop in runs), *self.shape[1:]), self.dtype)
        target, place = rows.reshape(-1).view(np.uint8), 0
        with self._lock:
            for part in _parts(runs, max(1, _BLOCK // max(1, self._row))):
                data = self._ask(part)
                target[place : place + len(data)] = np.frombuffer(data, np.uint8)
                place += len(data)
        return rows

    def _ask(self, runs: list[tuple[int, int]]) -> bytearray:
        if self._failure is not None:
            raise ValueError(self._failure)
        # A fork shares the pipes of its parent, whose answers it must not take.
        if self._process is None or self._owner != os.getpid():
            self._process = self._begin()
            self._owner = os.getpid()
        try:
            _, data = self._process.ask({"name": self._name, "runs": runs})
        except ValueError as error:
            # It would take the same time to fail again.
            if not self._process.end.alive:
                self._failure = str(error)
            raise
        if len(data) != sum(stop - start for start, stop in runs) * self._row:
            raise ValueError(f"{self._name} has not the rows that it should have")
        return data


def _parts(runs: list[tuple[int, int]], most: int) -> Iterator[list[tuple[int, int]]]:
    """The same runs, in parts of at most so many rows and of not too many runs."""
    part: list[tuple[int, int]] = []
    room = most
    for start, stop in runs:
        while start < stop:
            taken = min(stop - start, room)
            part.append((start, start + taken))
            start, room = start + taken, room - taken
            if not room or len(part) == _RUNS:
                yield part
                part, room = [], most
    if part:
        yield part
