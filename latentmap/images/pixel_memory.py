"""How much memory it takes to decode an image, and who may have it: all threads share one limit.

A picture of one colour packs a thousandfold, so it is counted before pixels are decoded.
"""

from __future__ import annotations

import re
import struct
import threading

from PIL import Image

from latentmap.errors import ImageError
from latentmap.images.jpeg import SMALL, coefficient_bytes
from latentmap.limits import advice, limit, memory_for

# Bytes a pixel of Pillow's own, by its modes, others take 4; and of the values that are kept of
# them, others take 3.
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
_KEPT = {"1": 1, "L": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2, "I": 4, "F": 4}
# Bytes a pixel that a decoder takes while it works, by format; measured, and rounded up. Formats
# that are not here are decoded in Python, into bytes first.
_WORKING = {"JPEG": 0, "MPO": 0, "PNG": 0, "PPM": 2, "GIF": 4, "BMP": 2, "TIFF": 0}
_WORKING |= {"WEBP": 16, "AVIF": 24, "JPEG2000": 32}
_OTHERS = 8
_MOST = 48  # Of all formats and modes.
_TILE_TAGS, _STRIP_TAG, _BITS_TAG = (322, 323), 278, 258
_NUMBERS = {3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 16, 17, 18}  # Types of tags.
_NUMBER = 400  # Bytes of memory that a number in a tag takes, if a strip is where it says.
_INNER = re.compile(rb"ihdr(.{4})(.{4})", re.DOTALL | re.IGNORECASE)


_LITTLE = 1 << 20  # Bytes: no thread waits for another for that.
_changed = threading.Condition()
_used = [0]  # Of all threads.


class _Own(threading.local):
    """What a thread decodes: the bytes that its image takes where it lies, None for an image that
    is known by its data alone, and the memory that it has taken.
    """

    stored: int | None = None
    taken = 0


_own = _Own()


class ImageMemory:
    """What this thread decodes in the block is one image, of a file that takes ``stored`` bytes
    where it lies; its memory is given back at the end.
    """

    def __init__(self, stored: int) -> None:
        self._stored = stored

    def __enter__(self) -> None:
        _own.stored = self._stored

    def __exit__(self, *_: object) -> None:
        _own.stored = None
        _give_back()


def take_memory(size: int, data: bytes) -> None:
    """Takes ``size`` bytes to decode a file, in the place of what was taken before for its image;
    waits until other threads have given back enough.

    Outside of ``ImageMemory`` it is known by its ``data`` alone, and takes no turn.

    Raises:
        ImageError: they are more than that file may take.
    """
    stored = _own.stored
    require_memory(size, len(data) if stored is None else stored)
    if size < _LITTLE or stored is None:
        return
    _give_back()
    most = limit("memory")
    wanted = min(size, most)
    with _changed:
        _changed.wait_for(lambda: _used[0] + wanted <= most or not _used[0])
        _used[0] += wanted
    _own.taken = wanted


def _give_back() -> None:
    if _own.taken:
        with _changed:
            _used[0] -= _own.taken
            _changed.notify_all()
        _own.taken = 0


def require_memory(size: int, stored: int) -> None:
    """Refuses an image that takes too much to unpack, or to decode, for its file.

    Raises:
        ImageError: that is so.
    """
    if size > memory_for(stored):
        raise ImageError(
            f"it takes {size / 1e6:.0f} MB of memory, which is too much for {stored} bytes: "
            f"{advice('memory')}"
        )


def decoding_memory(image: Image.Image, data: bytes, *, deep: bool) -> int:
    """Bytes that it takes to decode an opened file and to hold its values, ``deep`` in 16 bits."""
    width, height = image.size
    if width * height <= SMALL and image.format in _WORKING and image.format != "TIFF":
        return len(data) + width * height * _MOST
    stored = _STORED.get(image.mode, 4)
    kept = _KEPT.get(image.mode, 3) * (2 if deep else 1)
    working: float = _WORKING.get(image.format or "", _OTHERS)
    absolute = len(data)
    if image.format in ("JPEG", "MPO"):
        working = coefficient_bytes(data)
    elif image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]  # of TIFF alone
        absolute += len(data) + _piece(tags, width, height)
        working = 4 if tags.get(0x0112, 1) != 1 else 0
    elif deep:
        stored *= 2  # Both halves of its values.
    return absolute + int(width * height * (stored + max(kept, working)))


def _piece(tags: object, width: int, height: int) -> int:
    """Bytes of a tile or strip of a TIFF, which is decoded at once."""
    get = tags.get  # type: ignore[attr-defined]
    bits = get(_BITS_TAG, (8,))
    depth = max(sum(bits) / 8, 4)
    across, down = (get(tag) for tag in _TILE_TAGS)
    if across is None or down is None:
        across, down = width, min(get(_STRIP_TAG, height), height)
    return int(across * down * depth)


def require_tag_memory(data: bytes) -> None:
    """Refuses a TIFF whose tags have too many numbers, before Pillow makes objects of them.

    Raises:
        ImageError: that is so.
    """
    order = "<" if data[:2] == b"II" else ">"
    long, head, entry = ("Q", "Q", "HHQ8x") if 43 in data[2:4] else ("I", "H", "HHI4x")
    try:
        (offset,) = struct.unpack_from(order + long, data, 8 if long == "Q" else 4)
        (count,) = struct.unpack_from(order + head, data, offset)
        first, size = offset + struct.calcsize(order + head), struct.calcsize(order + entry)
    except struct.error:
        return  # It is cut off, which its reader says.
    content = data[first : first + size * count]
    entries = struct.iter_unpack(order + entry, content[: len(content) // size * size])
    numbers = sum(count for _, kind, count in entries if kind in _NUMBERS)
    require_memory(2 * len(data) + _NUMBER * numbers, len(data))


def require_inner_memory(data: bytes) -> None:
    """Refuses files that hold a picture in another format, such as icons, of too many pixels.

    Raises:
        ImageError: that is so.
    """
    for found in _INNER.finditer(data):
        across, down = (int.from_bytes(part, "big") for part in found.groups())
        require_memory(8 * across * down, len(data))
