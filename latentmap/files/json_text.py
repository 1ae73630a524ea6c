"""JSON of strangers: an object of bounded depth and size, or an error in words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.files.opening import read_regular
from latentmap.limits import advice, memory_for

_DEEPEST = 64  # Reports, the deepest of our files, need a third.
_VALUE = 150  # Bytes that Python takes for a small value and its place; `{},` is three in a file.
_BLOCK = 1 << 20


def read_json(path: str | Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it holds no such object.
    """
    return parse_json(read_regular(path))


def parse_json(text: bytes | str, *, spare: int = 0) -> dict[str, Any]:
    """The object that a text is; it may take ``spare`` bytes of memory more than any other text.

    Raises:
        ValueError: it is no JSON, no object, names something twice in one, is nested too deeply, or
            asks for more memory than a text of its size may.
    """
    data = text.encode() if isinstance(text, str) else text
    # Letters beyond ASCII may make four bytes of every other, in the text and in what is read.
    letters = len(data) * (2 if data.isascii() else 8)
    if letters + _VALUE * _values(data) > memory_for(len(data)) + spare:
        raise ValueError(f"it takes too much memory; {advice('memory')}")
    try:
        found = json.loads(data.decode(), object_pairs_hook=_named_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"it is a {type(found).__name__}, not an object")
    _refuse_depth(found)
    return found


def _values(data: bytes) -> int:
    """How many values there are at most: commas and opening brackets outside of strings."""
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data
    count, inside = 0, np.uint8(0)
    for start in range(0, len(plain), _BLOCK):
        block = np.frombuffer(plain, np.uint8, min(_BLOCK, len(plain) - start), start)
        within = np.bitwise_xor.accumulate((block == ord('"')).view(np.uint8)) ^ inside
        marks = (block == ord(",")) | (block == ord("[")) | (block == ord("{"))
        count += int(np.count_nonzero(marks & (within == 0)))
        inside = within[-1]
    return count


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
