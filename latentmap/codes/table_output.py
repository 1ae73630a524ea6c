"""Codes written as a table of Parquet, a group of rows at a time.

Shapes: ``n`` codes of ``d`` numbers each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.codes.codes import Codes
from latentmap.errors import OutputError

# The name in the metadata of a file under which there is what made its codes.
PROVENANCE = "latentmap"
_GROUP = 1 << 20  # Numbers of a group of rows at most, which a reader may have in memory whole.
_ROWS, _PICTURES = 1 << 16, 1000  # Of a group, without and with thumbnails,
_BYTES = 1 << 24  # of which so many bytes fill it.


def require_pyarrow() -> None:
    """Refuses to write tables where there is nothing to write them with.

    Raises:
        OutputError: that is so.
    """
    try:
        import pyarrow.parquet as pyarrow_parquet
    except ImportError as error:
        raise OutputError(
            "a .parquet file is written with pyarrow, which is not installed: "
            'pip install "latentmap[parquet]"'
        ) from error
    del pyarrow_parquet


def write_parquet(
    codes: Codes, path: Path, provenance: str, thumbnails: Iterator[bytes] | None
) -> None:
    """Writes the columns ``id`` and ``codes``, lists of ``d`` floats; and ``image``, where there
    are ``thumbnails``, files of images in the order of the codes.

    Nothing is packed, as codes hardly shrink; pages have sums by which damage is found.

    Raises:
        OutputError: an id is no UTF-8.
        OSError: the disk does not take it.
    """
    import pyarrow
    import pyarrow.parquet

    schema = _schema(codes.space.dim, provenance, with_images=thumbnails is not None)
    rows = max(1, min(_ROWS if thumbnails is None else _PICTURES, _GROUP // codes.space.dim))
    with (
        path.open("wb") as file,
        pyarrow.parquet.ParquetWriter(
            file,
            schema,
            compression="none",
            use_dictionary=False,
            write_statistics=["id"],
            write_page_checksum=True,
        ) as writer,
    ):
        start = 0
        while start < len(codes):
            stop = min(start + rows, len(codes))
            files = None
            if thumbnails is not None:
                files = _some(thumbnails, stop - start)
                stop = start + len(files)
            names = _texts(codes.ids[start:stop])
            columns = [names, _lists(codes.rows.read(start, stop))]
            if files is not None:
                columns.append(_pictures(files, names))
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema), stop - start)
            start = stop


def _some(thumbnails: Iterator[bytes], most: int) -> list[bytes]:
    """The next thumbnails: one, and others as far as there is room in a group."""
    files = [next(thumbnails)]
    size = len(files[0])
    while len(files) < most and size < _BYTES:
        files.append(next(thumbnails))
        size += len(files[-1])
    return files


def _schema(dim: int, provenance: str, *, with_images: bool) -> Any:
    import pyarrow

    fields = {"id": pyarrow.string(), "codes": pyarrow.list_(pyarrow.float32(), dim)}
    metadata = {PROVENANCE: provenance}
    if with_images:
        fields["image"] = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
        metadata["huggingface"] = json.dumps({"info": {"features": _features(dim)}})
    return pyarrow.schema(fields, metadata)


def _features(dim: int) -> dict[str, Any]:
    """The columns as Hugging Face's ``datasets`` describes them: without that, images are bytes."""
    number = {"dtype": "float32", "_type": "Value"}
    return {
        "id": {"dtype": "string", "_type": "Value"},
        "codes": {"feature": number, "length": dim, "_type": "Sequence"},
        "image": {"_type": "Image"},
    }


def _texts(ids: np.ndarray) -> Any:
    import pyarrow

    parts = []
    for name in ids.tolist():
        try:
            parts.append(name.encode())
        except UnicodeEncodeError:
            raise OutputError(
                f"the id {name!r} is no UTF-8, as texts in Parquet are: export .npz or .h5"
            ) from None
    return _strings(parts, pyarrow.string())


def _pictures(files: list[bytes], names: Any) -> Any:
    import pyarrow

    contents = _strings(files, pyarrow.binary())
    return pyarrow.StructArray.from_arrays([contents, names], ["bytes", "path"])


# Made of buffers, which neither copies numbers nor imports pandas, as pyarrow.array does.
def _strings(parts: list[bytes], kind: Any) -> Any:
    import pyarrow

    ends = np.cumsum([0, *map(len, parts)], dtype=np.int32)
    buffers = [None, pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(parts))]
    return pyarrow.Array.from_buffers(kind, len(parts), buffers)


def _lists(rows: np.ndarray) -> Any:
    import pyarrow

    numbers = pyarrow.py_buffer(np.ascontiguousarray(rows, "<f4"))
    flat = pyarrow.Array.from_buffers(pyarrow.float32(), rows.size, [None, numbers])
    return pyarrow.FixedSizeListArray.from_arrays(flat, rows.shape[1])
