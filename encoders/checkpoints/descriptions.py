"""What a foreign file says - names, arguments, options - as JSON and as words for messages.

All of it is cut where it is long: a file may hold names of a million characters.
"""

from __future__ import annotations

import math
from typing import Any

from latentmap.encoders.checkpoints.values import Global, LongText, Record, TensorView, as_mapping

# Options are a few values, few levels deep. A file may share its lists so often that writing them
# out takes for ever.
_DEPTH = 3
_LENGTH = 200
_NAME_LENGTH = 80


def shown(name: str) -> str:
    """A name of the file on one line and without control characters."""
    return name[:_NAME_LENGTH].encode("unicode_escape").decode("ascii")


def described(value: Any, depth: int = _DEPTH) -> Any:
    """The value as JSON can hold it: what is no plain data becomes its name."""
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
    if depth == 0:
        return "..."
    if isinstance(value, list | tuple | set | frozenset):
        return [described(item, depth - 1) for item in list(value)[:_LENGTH]]
    entries = described_mapping(value, depth)
    return shown(value.name) if isinstance(value, Record) and not entries else entries


def described_mapping(value: Any, depth: int = _DEPTH) -> dict[str, Any]:
    """The entries of a dictionary or of its record as JSON; nothing where the value is neither."""
    entries = list(as_mapping(value).items())[:_LENGTH]
    return {str(described(key, 1)): described(item, depth - 1) for key, item in entries}
