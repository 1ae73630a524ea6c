"""Tables about images: csv with a header, and the text files that come with CelebA."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import read_regular
from latentmap.files.kinds import EMPTY, kind_of_bytes


@dataclass(frozen=True, eq=False)
class Table:
    """The names of images and what is known about each: columns are float64, or text."""

    title: str
    names: list[str]
    columns: dict[str, np.ndarray]


def read_table(path: Path) -> Table:
    """A table from a file: plain csv (a header; the first column is the image), or CelebA's format.

    CelebA's ``list_attr_celeba.txt`` starts with a count and a line of names; other text files of
    CelebA have no header: their columns are called ``1``, ``2`` and so on.

    Raises:
        ImageError: the file cannot be read or is no such table.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise ImageError(f"the table {path} cannot be read: {error.strerror}") from error
    return parse_table(decode_table(data, str(path)), str(path))


def decode_table(data: bytes, title: str) -> str:
    """The text of a table.

    Raises:
        ImageError: it is not UTF-8, or is what stands in a table's place, such as a web page.
    """
    kind = kind_of_bytes(data)
    if kind not in (None, EMPTY) and kind.broken:
        raise ImageError(f"the table {title} is {kind.what}: {kind.advice}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImageError(f"the table {title} must be text in UTF-8: {error}") from error


def parse_table(text: str, title: str) -> Table:
    """``read_table`` of a text that is at hand; ``title`` names it in messages."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ImageError(f"the table {title} is empty: it needs a row for each image")
    if "," in lines[0]:
        rows = list(csv.reader(lines))
        header, rows = rows[0], rows[1:]
    elif lines[0].strip().isdigit() and len(lines) > 1:
        header, rows = ["file", *lines[1].split()], [line.split() for line in lines[2:]]
    else:
        rows = [line.split() for line in lines]
        header = [str(number) for number in range(len(rows[0]))]
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ImageError(
                f"row {number} of {title} has {len(row)} fields where the first line has "
                f"{len(header)}: each image needs one field a column"
            )
    fields = list(zip(*rows, strict=True)) or [()] * len(header)
    columns = {
        name.strip(): _column(values) for name, values in zip(header[1:], fields[1:], strict=True)
    }
    if not columns:
        raise ImageError(f"the table {title} has one column: it needs the image and what is known")
    return Table(title, [name.strip().replace("\\", "/") for name in fields[0]], columns)


def _column(values: tuple[str, ...]) -> np.ndarray:
    try:
        return np.array([float(value) for value in values], dtype=np.float64)
    except ValueError:
        return np.array([value.strip() for value in values], dtype=np.str_)
