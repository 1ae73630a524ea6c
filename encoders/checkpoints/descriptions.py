"""What a foreign file says - names, arguments, options - as JSON and as words for messages.

All of it is cut where it is long: a file may hold names of a million characters, and share its
lists so often that writing them out takes for ever.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from latentmap.encoders.checkpoints.values import Global, LongText, Record, TensorView, as_mapping

# Options are a few values, few levels deep.
_DEPTH = 3
_LENGTH = 200
_VALUES = 1000
_NAME_LENGTH = 80


def shown(name: str) -> str:
    """A name of the file on one line and without control characters."""
    return name[:_NAME_LENGTH].encode("unicode_escape").decode("ascii")


def in_words(value: Any) -> str:
    """A value of the file in the words of a message."""
    return shown(repr(_describe(value, 1, _Room(_NAME_LENGTH))))


def described(value: Any) -> Any:
    """The value as JSON can hold it: what is no plain data becomes its name."""
    return _describe(value, _DEPTH, _Room(_VALUES))


def described_mapping(value: Any) -> dict[str, Any]:
    """The entries of a dictionary or of its record as JSON; nothing where the value is neither."""
    return _entries(value, _DEPTH, _Room(_VALUES))


class _Room:
    """How many values may still be described."""

    def __init__(self, values: int) -> None:
        self.values = values


def _describe(value: Any, depth: int, room: _Room) -> Any:
    room.values -= 1
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else "a number of more than 63 bits"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= _LENGTH else value[:_LENGTH] + "..."
    if isinstance(value, TensorView):
        return repr(value)
    if isinstance(value, Global):
        return shown(value.name)
    if isinstance(value, bytes | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, LongText):
        return f"a text of {len(value.utf8)} bytes"
    if depth == 0 or room.values <= 0:
        return "..."
    if isinstance(value, list | tuple | set | frozenset):
        items = itertools.islice(value, _LENGTH)
        return [_describe(item, depth - 1, room) for item in items if room.values > 0]
    entries = _entries(value, depth, room)
    return shown(value.name) if isinstance(value, Record) and not entries else entries


def _entries(value: Any, depth: int, room: _Room) -> dict[str, Any]:
    entries = itertools.islice(as_mapping(value).items(), _LENGTH)
    return {
        str(_describe(key, 1, room)): _describe(item, depth - 1, room)
        for key, item in entries
        if room.values > 0
    }
