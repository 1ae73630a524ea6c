"""Codes in Parquet tables: a column of lists, or a column for each number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes.raw_codes import RawCodes, as_ids, listed, name_of_ids
from latentmap.codes.table_output import PROVENANCE
from latentmap.errors import SpaceError
from latentmap.files import open_regular
from latentmap.files.file_rows import FileRows
from latentmap.files.spool import spool_of
from latentmap.limits import Allowance

_FLOAT = np.dtype("<f4")
_ROWS = 4096  # At a time, of codes of no more than a thousand numbers.
_NUMBERS = 1 << 22  # Of longer codes, at a time.
_LETTER = 4


def read_parquet(paths: list[Path], codes: str | None, ids: str | None) -> RawCodes:
    """The codes in the column ``codes``, or the only one of lists of floats; where there is none of
    lists, all columns of floats are the numbers of a code, in their order. Ids are in ``ids``, else
    in ``id``. What made the codes is in the metadata of a file of ours.

    Rows are unpacked block by block into a spool as float32; of pages with sums these are checked.

    Raises:
        SpaceError: pyarrow is not installed, or the codes take more room than a file of its size
            may.
        ValueError: there are no such columns, a value is missing, or lists have different lengths.
    """
    parquet = _parquet()
    (path,) = paths
    spool = spool_of(path, SpaceError, elsewhere="save the codes as .npz")
    with open_regular(path) as file:
        table = parquet.ParquetFile(file, pre_buffer=False, page_checksum_verification=True)
        columns = _columns(table.schema_arrow, codes)
        names = _name_of_ids(table.schema_arrow, ids)
        provenance = (table.metadata.metadata or {}).get(PROVENANCE.encode(), b"{}").decode()
        allowance = Allowance(str(path), path.stat().st_size, SpaceError)
        n, size, found = table.metadata.num_rows, None, []
        numbers = _numbers_in(table.metadata, columns)
        # Before any of it is unpacked: pages of equal numbers take no room in a file.
        spool.require_room(numbers * _FLOAT.itemsize)
        step = min(_ROWS, max(1, _NUMBERS * n // max(numbers, 1)))
        wanted = columns if names is None else [*columns, names]
        for batch in table.iter_batches(step, columns=wanted, use_threads=False):
            block = _block(batch, columns)
            if size is None:
                size = block.shape[1]
                spool.require_room(n * size * _FLOAT.itemsize)
            if block.shape[1] != size:
                raise ValueError(f"it has codes of {size} and of {block.shape[1]} numbers")
            spool.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8))
            if names is not None:
                found.append(_texts(batch.column(names), allowance))
    if not size:
        raise ValueError("it has no rows")
    rows = FileRows(spool.descriptor, _FLOAT, (spool.size // (size * _FLOAT.itemsize), size))
    return RawCodes(rows, _joined(found, allowance) if found else None, provenance)


def _numbers_in(metadata: Any, columns: list[str]) -> int:
    """How many numbers some columns hold, as the file says."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    wanted = {*columns}
    return sum(one.num_values for one in chunks if one.path_in_schema.partition(".")[0] in wanted)


def _joined(parts: list[np.ndarray], allowance: Allowance) -> np.ndarray:
    """All ids, each of which takes the room of the longest."""
    size, count = max(part.itemsize for part in parts), sum(map(len, parts))
    allowance.spend(size * count, f"ids of up to {size // _LETTER} letters")
    return np.concatenate(parts)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise SpaceError(
            "a .parquet file is read with pyarrow, which is not installed: "
            'pip install "latentmap[parquet]"'
        ) from error
    return pyarrow.parquet


def _columns(schema: Any, key: str | None) -> list[str]:
    """The columns that hold the codes."""
    from pyarrow import types

    def holds_lists(kind: Any) -> bool:
        whole = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        return bool(whole and types.is_floating(kind.value_type))

    kinds = dict(zip(schema.names, schema.types, strict=True))
    if len(kinds) < len(schema.names):
        raise ValueError("two of its columns have one name")
    lists = [name for name, kind in kinds.items() if holds_lists(kind)]
    if key is None and "codes" in kinds:
        key = "codes"
    if key is not None:
        if key not in kinds:
            raise ValueError(f"it has no {key!r}, but {listed(list(kinds)) or 'nothing'}")
        if key not in lists:
            raise ValueError(f"codes are lists of floats, and {key!r} is {kinds[key]}")
        return [key]
    if len(lists) > 1:
        raise ValueError(f"it holds {listed(lists)}: say which, as FILE?codes=NAME")
    numbers = [name for name, kind in kinds.items() if types.is_floating(kind)]
    if not lists and len(numbers) < 2:
        raise ValueError(
            f"it has no column of lists of floats, but {listed(list(kinds)) or 'nothing'}"
        )
    return lists or numbers


def _name_of_ids(schema: Any, key: str | None) -> str | None:
    """The column of ids: ``ids``, or ``id`` where it may hold some."""
    from pyarrow import types

    name = name_of_ids(schema.names, key)
    if name is None and "id" in schema.names:
        kind = schema.field("id").type
        fitting = types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind)
        return "id" if fitting else None
    return name


def _block(batch: Any, columns: list[str]) -> np.ndarray:
    """The codes of some rows, float32 ``(k, d)``."""
    parts = [batch.column(name) for name in columns]
    for part, name in zip(parts, columns, strict=True):
        if part.null_count:
            raise ValueError(f"{name!r} has rows without a code")
    with np.errstate(over="ignore"):
        if len(columns) > 1:
            return np.stack([part.to_numpy(zero_copy_only=False) for part in parts], 1).astype(
                _FLOAT
            )
        (part,) = parts
        lengths = np.unique(part.value_lengths().to_numpy(zero_copy_only=False))
        if len(lengths) > 1 or not len(lengths):
            raise ValueError(f"{columns[0]!r} has lists of {len(lengths)} different lengths")
        values = part.flatten()
        if values.null_count:
            raise ValueError(f"{columns[0]!r} has codes with missing numbers")
        flat: np.ndarray = values.to_numpy(zero_copy_only=False).astype(_FLOAT)
        return flat.reshape(len(part), int(lengths[0]))


def _texts(column: Any, allowance: Allowance) -> np.ndarray:
    """The ids of some rows; empty where one is missing, which is refused like an empty one."""
    from pyarrow import types

    if types.is_integer(column.type):
        if column.null_count:
            raise ValueError("some ids are missing")
        return as_ids(column.to_numpy(zero_copy_only=False))
    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        raise ValueError(f"ids are texts or whole numbers, not {column.type}")
    texts = [text or "" for text in column.to_pylist()]
    longest = max(map(len, texts), default=0)
    allowance.spend(2 * _LETTER * longest * len(texts), f"ids of up to {longest} letters")
    return np.array(texts, np.str_)
