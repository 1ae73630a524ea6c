"""Tables about images: csv with a header, and the text files that come with CelebA."""

from __future__ import annotations

import csv
import io
import itertools
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import read_regular, reading
from latentmap.files.kinds import EMPTY, kind_of_bytes
from latentmap.limits import Allowance

# Bytes of memory that a name takes until its image is found, and a column until it is chosen.
_ROW, _COLUMN = 200, 300
# A text takes an object, and its letters in three arrays of four bytes each.
_TEXT, _LETTER = 60, 12
_LARGEST = 2**53  # From here on not all whole numbers are floats.
_LONGEST_LINE = 1 << 20  # Some ten thousand columns.


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
    return parse_table(data, str(path))


def parse_table(text: str | bytes, title: str) -> Table:
    """``read_table`` of a text that is at hand; ``title`` names it in messages.

    Raises:
        ImageError: it is no such table, is not UTF-8, or takes more memory than it may; or it is
            what stands in a table's place, such as a web page.
    """
    data = text.encode() if isinstance(text, str) else text
    kind = kind_of_bytes(data)
    if kind not in (None, EMPTY) and kind.broken:
        raise ImageError(f"the table {title} is {kind.what}: {kind.advice}")
    with reading(f"the table {title}", ImageError, "give csv with a row for each image"):
        return _parse(data, title)


def as_names(column: np.ndarray) -> np.ndarray:
    """A column as strings ``(n,)``; whole numbers are without a point."""
    if column.dtype.kind == "f" and (np.abs(column) < _LARGEST).all():
        whole = column.astype(np.int64)
        column = whole if (whole == column).all() else column
    names: np.ndarray = column.astype(np.str_)
    return names


def text_lines(data: bytes, wanted: str) -> Iterator[str]:
    """The lines of a text that are not empty; ``wanted`` says what must be text in UTF-8.

    Raises:
        ImageError: a line is none, or too long for a line of a table.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    ended = data if b"\n" in data else data.replace(b"\r", b"\n")
    for number, line in enumerate(io.BytesIO(ended), 1):
        if len(line) > _LONGEST_LINE:
            raise ImageError(f"{wanted}, in lines of a table: line {number} has {len(line)} bytes")
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ImageError(f"{wanted}, which line {number} is not: {error.reason}") from error
        if "\0" in text:
            raise ImageError(f"{wanted}, which line {number} is not: it holds bytes of zero")
        if text.strip():
            yield text


def _parse(data: bytes, title: str) -> Table:
    allowance = Allowance(f"the table {title}", len(data), ImageError)
    header, rows = _rows(data, title)
    columns = [name.strip() for name in header[1:]]
    allowance.spend(_COLUMN * len(header), f"{len(header)} columns")
    if not columns:
        raise ImageError(f"the table {title} has one column: it needs the image and what is known")
    if len(set(columns)) < len(columns):
        twice = next(name for place, name in enumerate(columns) if name in columns[:place])
        raise ImageError(f"the table {title} has two columns {twice!r}: rename one")
    names: list[str] = []
    numbers: list[array[float] | None] = [array("d") for _ in columns]
    for row in rows:
        _check_length(row, len(names) + 1, len(header), title)
        allowance.spend(_ROW + 4 * len(row[0]) + 16 * len(columns), f"{len(names) + 1} rows")
        names.append(row[0].strip().replace("\\", "/"))
        for place, field in enumerate(row[1:]):
            column = numbers[place]
            if column is not None:
                try:
                    column.append(float(field))
                except ValueError:
                    numbers[place] = None
    texts = [place for place, column in enumerate(numbers) if column is None]
    found = dict(zip(texts, _texts(data, title, texts, allowance), strict=True)) if texts else {}
    return Table(
        title,
        names,
        {
            name: found[place] if column is None else np.array(column, np.float64)
            for place, (name, column) in enumerate(zip(columns, numbers, strict=True))
        },
    )


def _check_length(row: list[str], number: int, columns: int, title: str) -> None:
    if len(row) != columns:
        raise ImageError(
            f"row {number} of {title} has {len(row)} fields where the first line has "
            f"{columns}: each image needs one field a column"
        )


def _texts(data: bytes, title: str, places: list[int], allowance: Allowance) -> list[np.ndarray]:
    """The columns that are not numbers, read once more, since most are."""
    texts: list[list[str]] = [[] for _ in places]
    for row in _rows(data, title)[1]:
        for column, place in zip(texts, places, strict=True):
            column.append(row[1 + place].strip())
            allowance.spend(_TEXT + len(column[-1]), "its texts")
    for column in texts:
        longest = max(map(len, column), default=0)
        # An array gives each text the room of the longest.
        allowance.spend(_LETTER * longest * len(column), f"texts of {longest} letters")
    return [np.array(column, np.str_) for column in texts]


def _rows(data: bytes, title: str) -> tuple[list[str], Iterator[list[str]]]:
    """The header and the rows below it."""
    lines = text_lines(data, f"the table {title} must be text in UTF-8")
    first = next(lines, None)
    if first is None:
        raise ImageError(f"the table {title} is empty: it needs a row for each image")
    if "," in first:
        rows = csv.reader(itertools.chain([first], lines))
        return next(rows), rows
    second = next(lines, None)
    if first.strip().isdigit() and second is not None:
        return ["file", *second.split()], (line.split() for line in lines)
    both = [first] if second is None else [first, second]
    header = [str(number) for number in range(len(first.split()))]
    return header, (line.split() for line in itertools.chain(both, lines))
