"""Images in Parquet files, one or a set of them.

A group of rows cannot be entered in the middle: it is unpacked when one of its images is read, into
a file without a name, of which the last few are kept. So images are read quickly in their order,
and slowly in any other.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.errors import ImageError
from latentmap.files.spool import Spool
from latentmap.images.companions import Companion, beside
from latentmap.images.containers import EncodedImages
from latentmap.images.contents import FileState, Marks, mark_of
from latentmap.images.formats import no_images
from latentmap.images.naming import ordered_ids
from latentmap.images.parquet_tables import ImageTable, look_into_table
from latentmap.images.pixel_memory import require_memory
from latentmap.images.sets import FilesOfImages, SetFile, Span, require_count
from latentmap.images.values import ValueRange
from latentmap.limits import Allowance

_TABLES = 2  # Parts that follow each other share a file at most.
_KEPT = 1 << 29  # Bytes of unpacked groups on the disk, beside the two that were read last.


class ParquetFiles(FilesOfImages):
    """The tables of a set, of which ``title`` is the name; ``key`` is the column of images, where
    it is said.
    """

    def __init__(
        self,
        files: Sequence[SetFile],
        title: str,
        value_range: ValueRange | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(files, title, value_range)
        self._key = key
        self._tables: dict[int, ImageTable] = {}

    def count(self, number: int) -> int:
        return look_into_table(self.files[number], self._key).count

    def container(self, spans: Sequence[Span]) -> ParquetImages:
        parts = []
        for span in spans:
            table = self._table(span.file)
            require_count(table.file, span, table.count)
            stop = table.count if span.stop is None else span.stop
            parts.append((table, span.start, stop))
        return ParquetImages(parts, self.title, self.value_range)

    def _table(self, number: int) -> ImageTable:
        table = self._tables.pop(number, None) or look_into_table(self.files[number], self._key)
        self._tables[number] = table
        if len(self._tables) > _TABLES:
            del self._tables[next(iter(self._tables))]
        return table


@dataclass(frozen=True)
class _Group:
    """The images of some rows of a group, the first of which is ``first``, unpacked into a spool;
    ``places`` are where they begin and end there, equal for rows without an image.
    """

    first: int
    spool: Spool
    places: np.ndarray

    def read(self, row: int) -> bytes:
        start, stop = self.places[row - self.first].tolist()
        if start == stop:
            raise ImageError("its row in the table has no bytes, at most the path of a file")
        require_memory(stop - start, stop - start)
        return os.pread(self.spool.descriptor, stop - start, start)


class ParquetImages(EncodedImages):
    """Some images of tables: of each the rows from one to another."""

    def __init__(
        self,
        parts: Sequence[tuple[ImageTable, int, int]],
        title: str,
        value_range: ValueRange | None = None,
    ) -> None:
        self.title = title
        self.value_range = value_range
        self._parts = parts
        self._ends = np.cumsum([stop - start for _, start, stop in parts])
        size = sum(table.identity.size for table, _, _ in parts)
        names = [
            table.file.named(name)
            for table, start, stop in parts
            for name in table.names(start, stop)
        ]
        if not names:
            raise no_images(title, [])
        self.ids = ordered_ids(names, Allowance(title, size, ImageError))
        self._groups: OrderedDict[tuple[int, int], _Group] = OrderedDict()
        self._refused: dict[tuple[int, int], str] = {}
        self._lock = threading.Lock()

    def read_bytes(self, position: int) -> bytes:
        number, row = self._place(position)
        return self._group(number, self._parts[number][0].group_of(row)).read(row)

    def stored_size(self, position: int, data: bytes) -> int:
        number, _ = self._place(position)
        # Of what was packed no more lies there than the file has.
        return min(len(data), self._parts[number][0].identity.size)

    def marks(self, index: np.ndarray) -> Marks:
        values = np.empty((len(index), 16), np.uint8)
        settled = np.empty(len(index), np.bool_)
        numbers = np.searchsorted(self._ends, index, "right")
        for number in np.unique(numbers).tolist():
            table, start, stop = self._parts[number]
            mark = mark_of(table.state.mark, self.value_range)
            chosen = numbers == number
            rows = index[chosen] - (self._ends[number] - (stop - start)) + start
            found = FileState(mark, table.state.settled).marks(rows)
            values[chosen], settled[chosen] = found.values, found.settled
        return Marks(values, settled)

    def companions(self, names: Sequence[str]) -> Iterator[Companion]:
        yield from beside(self._parts[0][0].file.path, names)

    def labels(self) -> np.ndarray | None:
        return None  # What tables and columns are called is none.

    def _place(self, position: int) -> tuple[int, int]:
        """The number of a part, and the row in its table."""
        number = int(np.searchsorted(self._ends, position, "right"))
        _, _, stop = self._parts[number]
        return number, int(stop - (self._ends[number] - position))

    def _group(self, number: int, group: int) -> _Group:
        # Unpacked by one thread, while others wait for it: they want the same.
        with self._lock:
            if (number, group) in self._refused:
                raise ImageError(self._refused[number, group])
            try:
                found = self._groups.pop((number, group), None) or self._unpacked(number, group)
            except ImageError as error:
                # Not unpacked anew for each of its images.
                self._refused[number, group] = str(error)
                raise
            self._groups[number, group] = found
            kept = sum(one.spool.size for one in self._groups.values())
            while kept > _KEPT and len(self._groups) > 2:
                _, dropped = self._groups.popitem(last=False)
                kept -= dropped.spool.size
            return found

    def _unpacked(self, number: int, group: int) -> _Group:
        table, start, stop = self._parts[number]
        elsewhere = "write it with smaller groups of rows"
        path = str(table.file.path)
        spool = Spool(path, table.identity.size, ImageError, elsewhere=elsewhere)
        # Before any of it is unpacked.
        spool.require_room(table.unpacked_size(group))
        begin = table.begin_of(group)
        places = []
        for row, data in enumerate(table.images(group), begin):
            if row >= stop:
                break
            if row < start:
                continue
            before = spool.size
            if data is not None:
                spool.write(data)
            places.append((before, spool.size))
        first = max(begin, start)
        if len(places) != min(stop, int(table.ends[group])) - first:
            raise ImageError(f"{path} has fewer images than it says: get it again")
        return _Group(first, spool, np.array(places, np.int64).reshape(-1, 2))
