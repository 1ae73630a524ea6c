"""Labels: what each image shows, in a word, where that is known.

It is known of IDX images by the file of labels beside them, of an ``.npz`` by its array ``labels``,
of images in folders or archives by the folder that each lies in, of any images by a table. Shapes:
``n`` images.
"""

from __future__ import annotations

import difflib
import gzip
from pathlib import Path
from typing import IO

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import open_arrays, open_regular, reading
from latentmap.images.naming import base_name, locate_rows
from latentmap.images.tables import Table, as_names, read_table

_HEAD = b"\x00\x00\x08\x01"
_ADVICE = "give the labels that belong to these images, or none (--labels takes a table)"
_SOME = 10


def labels_beside(path: Path, n: int) -> np.ndarray | None:
    """The labels ``(n,)`` of the IDX images at ``path``, as strings: those of the file that is
    called as theirs, ``train-labels-idx1-ubyte`` beside ``train-images-idx3-ubyte``, packed or not;
    None where there is none.

    Raises:
        ImageError: the file is damaged, or has labels of another number of images.
    """
    plain = path.name.removesuffix(".gz")
    if "images" not in plain:
        return None
    name = plain.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    both = [path.with_name(name), path.with_name(f"{name}.gz")]
    if path.suffix == ".gz":  # The one that is packed as the images are comes first.
        both.reverse()
    found = next((one for one in both if one.is_file()), None)
    if found is None:
        return None
    with reading(found, ImageError, _ADVICE), open_regular(found) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return _idx_labels(found, file, n)
        with gzip.open(file) as content:
            return _idx_labels(found, content, n)


def labels_within(path: Path, n: int) -> np.ndarray | None:
    """The labels ``(n,)`` of the images of an ``.npz`` file, as strings: its array ``labels``; None
    where it has none.

    Raises:
        ImageError: the array is damaged, holds neither whole numbers nor words, or has labels of
            another number of images.
    """
    with reading(path, ImageError, _ADVICE), open_arrays(path, ImageError) as arrays:
        if "labels" not in arrays:
            return None
        found = arrays["labels"]()
        if found.shape != (n,):
            raise ImageError(
                f"{path} holds labels of shape {found.shape} for {n} images, not ({n},): {_ADVICE}"
            )
        if found.dtype.kind not in "biufU":
            raise ImageError(
                f"{path} holds labels of type {found.dtype}, which are neither numbers nor words: "
                f"{_ADVICE}"
            )
        # Of text that is none Python makes no words.
        return np.array([str(name) for name in as_names(found)], np.str_)


def folder_labels(ids: np.ndarray) -> np.ndarray | None:
    """The labels ``(n,)`` of images that lie in one folder a label, ``cats/1.png``: the name of the
    folder. None where an image lies in none, all in one, or each in one of its own.
    """
    folders = [str(name).rpartition("/")[0] for name in ids]
    labels = np.array([base_name(folder) for folder in folders], np.str_)
    if not all(folders) or not 1 < len(np.unique(labels)) < len(labels):
        return None
    return labels


def read_labels(ids: np.ndarray, table: str) -> np.ndarray:
    """The labels ``(n,)`` of images with some ``ids``, as strings, from a table that names them in
    its first column: ``labels.csv``, or ``attributes.csv:Male`` for one of several other columns.

    Raises:
        ImageError: there is no such table or column, or an image is missing in it.
    """
    found, column = label_table(table)
    return as_names(found.columns[column][locate_rows(ids, found.names, found.title)])


def label_table(table: str) -> tuple[Table, str]:
    """The table and the column of it that ``read_labels`` reads.

    Raises:
        ImageError: there is no such table or column.
    """
    path, column = _split_column(table)
    found = read_table(path)
    named = found.columns
    if column is None and len(named) > 1:
        raise ImageError(
            f"{path} has {len(named)} columns beside the images ({_some([*named])}): say which one "
            f"has the labels, as {path}:{next(iter(named))}"
        )
    column = column or next(iter(named))
    if column not in named:
        close = difflib.get_close_matches(column, named, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"it has {_some([*named])}"
        raise ImageError(f"{path} has no column {column!r}: {advice}")
    return found, column


def _split_column(table: str) -> tuple[Path, str | None]:
    """``attributes.csv:Male`` as the file and the column; a file may have a colon in its name."""
    file, colon, column = table.rpartition(":")
    if colon and not Path(table).exists():
        return Path(file), column
    return Path(table), None


def _idx_labels(path: Path, file: IO[bytes] | gzip.GzipFile, n: int) -> np.ndarray:
    head = file.read(8)
    if head[:4] != _HEAD:
        raise ImageError(
            f"{path} is no IDX file of labels: it must begin with {_HEAD.hex()}, not "
            f"{head[:4].hex() or 'nothing'}"
        )
    count = int.from_bytes(head[4:], "big")
    if count != n:
        raise ImageError(f"{path} holds {count} labels for {n} images: {_ADVICE}")
    data = file.read(n + 1)  # No more, whatever a packed file unpacks to.
    if len(data) != n:
        raise ImageError(f"{path} should hold {n} labels, but holds {len(data)} or more: {_ADVICE}")
    return np.arange(256).astype("U3")[np.frombuffer(data, np.uint8)]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SOME]) + (", ..." if len(names) > _SOME else "")
