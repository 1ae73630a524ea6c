"""ONNX files as bytes: which other files a graph keeps its numbers in.

A walk over the fields of the protocol buffers in which a graph, or a graph inside it, can have
tensors; everything else is passed over. Nothing is computed, and no library is asked.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from latentmap.errors import ModelError
from latentmap.files import open_regular, reading

# Message -> number of a field -> the message in it.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
_DEEPEST = 64  # Messages in messages; graphs of loops and conditions need a few.
_CHUNK = 1 << 20


def digest_of_graph(path: Path) -> str:
    """The sha256 (hex) of a graph and of the files beside it that hold its numbers.

    Raises:
        ModelError: it cannot be read, is no ONNX file, or names a file that is not beside it.
    """
    with reading(path, ModelError, "export it again", what="is no ONNX file"):
        names = _external_files(path)
    digest = hashlib.sha256()
    for file in (path, *(_beside(path, name) for name in names)):
        with reading(file, ModelError, "export the graph again"), open_regular(file) as opened:
            digest.update(b"%d " % file.stat().st_size)
            while chunk := opened.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _external_files(path: Path) -> list[str]:
    """The names of other files, as they stand in a graph."""
    with (
        open_regular(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        found = set(_locations(data, 0, len(data), "model", 0))
    return sorted(found)


def _beside(path: Path, name: str) -> Path:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name or not pure.parts:
        raise ModelError(
            f"{path} keeps its numbers in {name!r}, outside its folder: export it again with all "
            "files in one folder"
        )
    return path.parent.joinpath(*pure.parts)


def _locations(data: mmap.mmap, start: int, end: int, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    inner = _FIELDS[kind]
    for number, first, last in _messages(data, start, end):
        if number not in inner:
            continue
        if inner[number] == "external":
            entry = {field: data[a:b] for field, a, b in _messages(data, first, last)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode()
        else:
            yield from _locations(data, first, last, inner[number], depth + 1)


def _messages(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that have a length: number, where they begin, where they end."""
    while start < end:
        key, start = _varint(data, start, end)
        wire = key & 7
        if wire == 0:
            _, start = _varint(data, start, end)
        elif wire in (1, 5):
            start += 8 if wire == 1 else 4
        elif wire == 2:
            length, start = _varint(data, start, end)
            if length > end - start:
                raise ValueError("a field is longer than what it is in")
            yield key >> 3, start, start + length
            start += length
        else:
            raise ValueError("a field is of no known kind")
    if start > end:
        raise ValueError("it is cut off")


def _varint(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if start >= end:
            raise ValueError("it is cut off")
        byte = data[start]
        start += 1
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, start
    raise ValueError("a number is too long")
