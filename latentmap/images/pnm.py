"""PBM, PGM and PPM files whose values Pillow does not give as they are, or not in linear time.

Pillow scales values before anybody can say what is white, and reads values that are written as text
in time and memory that comments in it multiply.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from latentmap.errors import ImageError

_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})")
_COMMENT = re.compile(rb"#[^\r\n]*")
_SPACE = re.compile(rb"\s")
_LINE_END = re.compile(rb"[\r\n]")
_LONGEST_HEAD = 1 << 16  # Comments among it: what programs say of themselves is a line or two.
_BLOCK = 1 << 16  # Of text, whose numbers take twenty times its memory.
_LONGEST_NUMBER = 9


@dataclass(frozen=True)
class PnmHead:
    """What a file says before its values, which begin at ``start``: bytes, or ``text``."""

    height: int
    width: int
    channels: int
    white: int
    text: bool
    bitmap: bool
    start: int


def pnm_head(data: bytes) -> PnmHead | None:
    """The head of a file that is read here; None for others, which are Pillow's.

    Raises:
        ImageError: it has no end.
    """
    kind = data[:2]
    if kind not in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"):
        return None
    position, numbers = 2, list[int]()
    while len(numbers) < (2 if kind in (b"P1", b"P4") else 3):
        found = _NUMBER.match(data, position, _LONGEST_HEAD)
        if found is None and len(data) > _LONGEST_HEAD:
            raise ImageError(f"damaged: the sizes are not in its first {_LONGEST_HEAD} bytes")
        if found is None:
            return None
        numbers.append(int(found[1]))
        position = found.end()
    bitmap, text = kind == b"P1", kind in (b"P1", b"P2", b"P3")
    white = 255 if bitmap or kind == b"P4" else numbers[2]
    if not 0 < white < 65536 or (white == 255 and not text):
        return None
    channels = 3 if kind in (b"P3", b"P6") else 1
    return PnmHead(numbers[1], numbers[0], channels, white, text, bitmap, position)


def pnm_values(data: bytes, head: PnmHead) -> np.ndarray:
    """The values ``(h, w, c)`` of a file with that head.

    Raises:
        ImageError: it is cut off, or holds more than its white.
    """
    size = head.height * head.width * head.channels
    if head.text:
        values = _from_text(data, head, size)
    else:
        kind = ">u2" if head.white > 255 else "u1"
        count = min(size, (len(data) - head.start - 1) // np.dtype(kind).itemsize)
        values = np.frombuffer(data, kind, max(count, 0), min(head.start + 1, len(data)))
    if len(values) < size:
        raise ImageError(f"damaged or cut off: {len(values)} of {size} values are there")
    if (largest := values.max()) > head.white:
        raise ImageError(f"damaged: it holds {largest}, and says that {head.white} is white")
    return values.reshape(head.height, head.width, head.channels)


def _from_text(data: bytes, head: PnmHead, size: int) -> np.ndarray:
    """At most ``size`` values that are written as text, read block by block."""
    # A value takes a byte or two, and in the file as much, or it is not there.
    values = np.empty(
        min(size, len(data) - head.start), np.uint16 if head.white > 255 else np.uint8
    )
    position, filled = head.start, 0
    while position < len(data) and filled < len(values):
        stop = _end(_SPACE, data, position + _BLOCK)
        if data.rfind(b"#", position, stop) > max(
            data.rfind(b"\n", position, stop), data.rfind(b"\r", position, stop)
        ):
            stop = _end(_LINE_END, data, stop)
        numbers = _numbers(_COMMENT.sub(b"", data[position:stop]), head)[: len(values) - filled]
        values[filled : filled + len(numbers)] = numbers
        filled += len(numbers)
        position = stop
    return values[:filled]


def _end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    found = pattern.search(data, position)
    return len(data) if found is None else found.start()


def _numbers(text: bytes, head: PnmHead) -> np.ndarray:
    parts = text.split()
    if head.bitmap:
        digits = np.frombuffer(b"".join(parts), np.uint8)
        if len(digits) and not (digits.min() >= 48 and digits.max() <= 49):
            raise ImageError("damaged: a bitmap holds 0 and 1 alone")
        return np.where(digits == 48, 255, 0)
    if parts and max(map(len, parts)) > _LONGEST_NUMBER:
        raise ImageError("damaged or cut off: it holds what is no number of a pixel")
    numbers = np.array([int(part) for part in parts], np.int64)
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() <= head.white):
        worst = numbers.max() if numbers.min() >= 0 else numbers.min()
        raise ImageError(f"damaged: it holds {worst}, and says that {head.white} is white")
    return numbers
