"""Files with other than 8 bits a value, read with all of them.

Pillow keeps the upper 8 bits of 16-bit colour and transparency. Grey PNG and TIFF of 16 bits need
no help.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from PIL import Image

Box = tuple[int, int, int, int]  # Left, upper, right and lower, as Pillow counts.
_Open = Callable[[bytes], AbstractContextManager[Image.Image]]

_BITS_PER_SAMPLE = 258
_GREY_ALPHA = "LA;16B"
# What unpacks the lower byte where Pillow unpacks the upper one: the other order of bytes.
_OTHER_ORDER = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}


def is_deep(image: Image.Image) -> bool:
    """Whether an opened PNG or TIFF has 16 bits a value, of which Pillow keeps 8."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    return is_deep_grey(image) or _lower_tiles(image) is not None


def is_deep_grey(image: Image.Image) -> bool:
    """Whether an opened PNG is grey with transparency, of 16 bits, which Pillow calls colour."""
    tiles = getattr(image, "tile", [])
    return bool(tiles) and all(_raw_mode(tile) == _GREY_ALPHA for tile in tiles)


def deep_parts(
    image: Image.Image, data: bytes, opened: _Open, parts: Callable[[int, int], Iterable[Box]]
) -> Iterator[np.ndarray]:
    """The values of an image that ``is_deep``: uint16 ``(rows, w, c)``, ``c`` is 2 to 4, of each of
    the ``parts`` that its width and height are cut into.

    ``opened`` opens its ``data`` anew: colour is decoded twice, once for each half of the bits.
    """
    if is_deep_grey(image):
        # Read as four bytes, a pixel has the halves of both its values.
        image.tile = [_in_raw_mode(tile, "RGBA") for tile in image.tile]  # type: ignore[attr-defined]
        image.load()
        for box in parts(*image.size):
            halves = np.asarray(image.crop(box)).astype(np.uint16)
            yield halves[:, :, ::2] << 8 | halves[:, :, 1::2]
        return
    tiles = _lower_tiles(image)
    image.load()
    with opened(data) as again:
        again.tile = tiles  # type: ignore[attr-defined]  # of image files alone
        again.load()
        for box in parts(*image.size):
            upper = np.asarray(image.crop(box)).astype(np.uint16)
            yield upper << 8 | np.asarray(again.crop(box))


def _lower_tiles(image: Image.Image) -> list[tuple[Any, ...]] | None:
    tiles: list[tuple[Any, ...]] = []
    for tile in getattr(image, "tile", []):
        name, _, bits = _raw_mode(tile).partition(";")
        if name not in ("RGB", "RGBA", "RGBX") or bits not in _OTHER_ORDER:
            return None
        tiles.append(_in_raw_mode(tile, f"{name};{_OTHER_ORDER[bits]}"))
    return tiles or None


def _raw_mode(tile: tuple[Any, ...]) -> str:
    arguments = tile[3]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) else ""


def _in_raw_mode(tile: tuple[Any, ...], raw: str) -> tuple[Any, ...]:
    arguments = tile[3]
    # Newer versions of Pillow want their own kind of tuple.
    whole = (*tile[:3], (raw, *arguments[1:]) if isinstance(arguments, tuple) else raw)
    return whole if type(tile) is tuple else type(tile)(*whole)


def white_of_sixteen(image: Image.Image) -> int:
    """The white of an opened grey picture of 16 bits: what a TIFF says of its bits, else 65535."""
    if image.format != "TIFF":
        return 65535
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))  # type: ignore[attr-defined]
    return (1 << int(bits[0])) - 1 if 8 < int(bits[0]) < 16 else 65535
