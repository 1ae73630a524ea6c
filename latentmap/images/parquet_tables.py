"""Tables of images in Parquet, as Hugging Face's ``datasets`` writes them: what is in which rows.

A column has files of images, as plain bytes or as a struct with a field ``bytes``. Ids are in a
column ``id``, ``key`` or ``path``, else they are the numbers of the rows; images are in the order
of the rows, which lie in groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import Identity, identity_of, open_regular, reading
from latentmap.images.contents import FileState
from latentmap.images.sets import SetFile
from latentmap.limits import Allowance
from latentmap.printing import printable, shortened

_IDS = ("id", "key", "path")
_IMAGE, _BYTES = "image", "bytes"
_ROWS = 16  # At a time: what is unpacked of these is in memory at once.
_ID_ROWS = 256
_NAME = 200  # Bytes of memory for an id, beside its letters.
_LETTER = 8  # As a text, and in the place that a set gives it.
_LISTED = 10


@dataclass(frozen=True, eq=False)
class ImageTable:
    """A Parquet file: ``column`` is the path of its column of bytes, ``ids`` the column of ids,
    None where there is none; ``ends`` are the rows at which its groups end.
    """

    file: SetFile
    identity: Identity
    state: FileState
    column: str
    ids: str | None
    ends: np.ndarray

    @property
    def count(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def group_of(self, row: int) -> int:
        """The number of the group of rows that a row is in."""
        return int(np.searchsorted(self.ends, row, "right"))

    def begin_of(self, group: int) -> int:
        """The first row of a group."""
        return int(self.ends[group - 1]) if group else 0

    def names(self, start: int, stop: int) -> list[str]:
        """The ids of rows ``start`` to ``stop``, without the name of the file.

        Raises:
            ImageError: they cannot be read, one is missing, or two are equal.
        """
        allowance = Allowance(str(self.file.path), self.identity.size, ImageError)
        allowance.spend(_NAME * (stop - start), f"ids of {stop - start} images")
        if self.ids is None or start >= stop:
            return [str(row) for row in range(start, stop)]
        found: list[str] = []
        place = self.begin_of(self.group_of(start))
        groups = range(self.group_of(start), self.group_of(stop - 1) + 1)
        with self._opened() as table:
            for batch in table.iter_batches(
                _ID_ROWS, row_groups=groups, columns=[self.ids], use_threads=False
            ):
                low, high = max(start - place, 0), min(stop - place, len(batch))
                place += len(batch)
                column = batch.column(0)[low : max(low, high)]
                allowance.spend(_LETTER * column.nbytes, f"ids in {self.ids!r}")
                found += ["" if name is None else str(name) for name in column.to_pylist()]
        if len(found) != stop - start or "" in found:
            raise ImageError(
                f"{self.file.path} has rows without {self.ids!r}, which is to name its images: "
                "fill it, or leave that column out"
            )
        if len({*found}) < len(found):
            twice = sorted(found)
            name = next(one for one, other in pairwise(twice) if one == other)
            raise ImageError(
                f"{self.file.path} has {printable(shortened(name))!r} twice in {self.ids!r}: each "
                "image needs a name of its own"
            )
        return found

    def images(self, group: int) -> Iterator[Any]:
        """The bytes of the images of a group, in order; None where there are none."""
        from pyarrow import types

        with self._opened() as table:
            for batch in table.iter_batches(
                _ROWS, row_groups=[group], columns=[self.column], use_threads=False
            ):
                column = batch.column(0)
                if types.is_struct(column.type):
                    (column,) = column.flatten()
                for value in column:
                    yield value.as_buffer() if value.is_valid else None

    def unpacked_size(self, group: int) -> int:
        """Bytes that the images of a group take, as the file says."""
        with self._opened() as table:
            chunks = table.metadata.row_group(group)
            columns = (chunks.column(k) for k in range(chunks.num_columns))
            found = (one for one in columns if one.path_in_schema == self.column)
            return max((int(one.total_uncompressed_size) for one in found), default=0)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with _opened(self.file, self.identity) as (table, _):
            yield table


def look_into_table(file: SetFile, key: str | None = None) -> ImageTable:
    """What a Parquet file holds; ``key`` is the column of images, where it is said.

    Raises:
        ImageError: pyarrow is not installed, the file is none, or has no column of images.
    """
    with _opened(file) as (table, identity):
        schema = table.schema_arrow
        metadata = table.metadata
        groups = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
        column = _column_of(schema, key)
        ids = next(
            (name for name in _IDS if name in schema.names and _may_name(schema, name)), None
        )
        if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
            raise ValueError("it has other numbers of rows than it says")
        if sum(groups) > identity.size:
            raise ValueError(f"it says to have {sum(groups)} images in {identity.size} bytes")
        state = FileState.of(file.path.stat(), column)
    return ImageTable(file, identity, state, column, ids, np.array([*accumulate(groups)], np.int64))


@contextmanager
def _opened(file: SetFile, known: Identity | None = None) -> Iterator[tuple[Any, Identity]]:
    """A file as pyarrow reads it; whatever goes wrong with that is one line."""
    parquet = _parquet()
    advice = "give a whole Parquet file with a column of images"
    what = "cannot be read as a table of images"
    with reading(file.path, ImageError, advice, what=what), open_regular(file.path) as data:
        identity = identity_of(data)
        if known is not None and identity != known:
            raise ImageError(f"{file.path} was written to since it was listed: begin again")
        table = parquet.ParquetFile(data, pre_buffer=False, page_checksum_verification=True)
        yield table, identity


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImageError(
            "a .parquet file is read with pyarrow, which is not installed: "
            'pip install "latentmap[parquet]"'
        ) from error
    return pyarrow.parquet


def _column_of(schema: Any, key: str | None) -> str:
    """The path of the column that holds images: of ``key``, else of ``image``, else of the only one
    that may.
    """
    names = schema.names
    if len({*names}) < len(names):
        raise ValueError("two of its columns have one name")
    paths = {name: path for name in names if (path := _path_of(name, schema.field(name).type))}
    if key is None:
        key = _IMAGE if _IMAGE in paths or len(paths) != 1 else next(iter(paths))
    if key in paths:
        return paths[key]
    if key in names:
        raise ValueError(f"images are bytes, and its column {key!r} is {schema.field(key).type}")
    if len(paths) > 1:
        raise ValueError(f"it has images in {_listed(list(paths))}: say which, as FILE:/NAME")
    raise ValueError(f"it has no column of images, but {_listed(names) or 'nothing'}")


def _path_of(name: str, kind: Any) -> str | None:
    """The path of the bytes in a column, where it has some."""
    from pyarrow import types

    if types.is_binary(kind) or types.is_large_binary(kind):
        return name
    if types.is_struct(kind) and kind.get_field_index(_BYTES) >= 0:
        return _path_of(f"{name}.{_BYTES}", kind.field(_BYTES).type)
    return None


def _may_name(schema: Any, name: str) -> bool:
    from pyarrow import types

    kind = schema.field(name).type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return printable(", ".join(sorted(names)[:_LISTED])) + more
