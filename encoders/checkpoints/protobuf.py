"""Messages of protocol buffers as plain numbers and bytes; what they mean is up to the reader."""

from __future__ import annotations

from collections.abc import Iterator

from latentmap.errors import CheckpointError

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_WIDTHS = {_EIGHT: 8, _FOUR: 4}
_LONGEST = 10


def read_varint(data: memoryview, position: int) -> tuple[int, int]:
    """The number at a position, seven bits a byte, and the position after it.

    Raises:
        CheckpointError: it has no end.
    """
    value = 0
    for place, byte in enumerate(data[position : position + _LONGEST]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, position + place + 1
    raise CheckpointError("it is damaged or cut off: a number in it has no end")


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message in their order: number, and value (an int where it is a varint or of
    fixed width, else the bytes).

    Raises:
        CheckpointError: it is no such message.
    """
    position = 0
    while position < len(data):
        tag, position = read_varint(data, position)
        kind = tag & 7
        if kind == _VARINT:
            value, position = read_varint(data, position)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            width, position = read_varint(data, position)
        elif kind in _WIDTHS:
            width = _WIDTHS[kind]
        else:
            raise CheckpointError("it is damaged: a part of it is of no kind that is known")
        content = data[position : position + width]
        if len(content) != width:
            raise CheckpointError("it is damaged or cut off: a part of it ends too early")
        position += width
        yield tag >> 3, content if kind == _BYTES else int.from_bytes(content, "little")


def number(value: int | memoryview) -> int:
    """A field that is a number.

    Raises:
        CheckpointError: it is not.
    """
    if not isinstance(value, int):
        raise CheckpointError("it is damaged: a number was expected in it")
    return value


def content(value: int | memoryview) -> memoryview:
    """A field that is bytes, or a message again.

    Raises:
        CheckpointError: it is not.
    """
    if isinstance(value, int):
        raise CheckpointError("it is damaged: a text or a message was expected in it")
    return value


def text(value: int | memoryview) -> str:
    """A field that is a text.

    Raises:
        CheckpointError: it is not.
    """
    try:
        return str(content(value), "utf-8")
    except UnicodeDecodeError:
        raise CheckpointError("it is damaged: a name in it is no text") from None
