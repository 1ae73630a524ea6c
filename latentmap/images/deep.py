"""Files with other than 8 bits a value, read with all of them.

Pillow keeps the upper 8 bits of 16-bit colour and transparency, and scales the values of PGM files
before anybody can say what is white. Grey PNG and TIFF of 16 bits need no help.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from latentmap.errors import ImageError

_Open = Callable[[bytes], AbstractContextManager[Image.Image]]

_PNM_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})")
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


def deep_colours(image: Image.Image, data: bytes, opened: _Open) -> np.ndarray:
    """The values of an image that ``is_deep``: uint16 ``(h, w, c)``, upright, ``c`` is 2 to 4.

    ``opened`` opens its ``data`` anew: colour is decoded twice, once for each half of the bits.
    """
    if is_deep_grey(image):
        # Read as four bytes, a pixel has the halves of both its values.
        image.tile = [_in_raw_mode(tile, "RGBA") for tile in image.tile]  # type: ignore[attr-defined]
        image.load()
        halves = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
        return np.asarray(halves[:, :, ::2] << 8 | halves[:, :, 1::2])
    tiles = _lower_tiles(image)
    image.load()
    upper = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
    with opened(data) as again:
        again.tile = tiles  # type: ignore[attr-defined]  # of image files alone
        again.load()
        values: np.ndarray = upper << 8 | np.asarray(ImageOps.exif_transpose(again))
        return values


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


def pnm_values(data: bytes, shape: tuple[int, int]) -> tuple[np.ndarray, int] | None:
    """The values ``(h, w, c)`` of a PGM or PPM file and its white; None where white is 255, or for
    other files. ``shape`` is height and width.

    Raises:
        ImageError: it is cut off, or holds more than its white.
    """
    kind = data[:2]
    if kind not in (b"P2", b"P3", b"P5", b"P6"):
        return None
    position = 2
    numbers: list[int] = []
    while len(numbers) < 3:
        found = _PNM_NUMBER.match(data, position)
        if found is None:
            return None
        numbers.append(int(found[1]))
        position = found.end()
    white = numbers[2]
    if white == 255 or not 0 < white < 65536:
        return None
    size = shape[0] * shape[1] * (3 if kind in (b"P3", b"P6") else 1)
    if kind in (b"P5", b"P6"):
        body = np.frombuffer(data[position + 1 :], ">u2" if white > 255 else "u1")
    else:
        texts = re.sub(rb"#[^\r\n]*", b"", data[position:]).split()[:size]
        body = np.array([int(text) for text in texts], np.int64)
    if len(body) < size:
        raise ImageError(f"damaged or cut off: {len(body)} of {size} values are there")
    values = body[:size].astype(np.uint16 if white > 255 else np.uint8)
    if (body[:size] > white).any() or (body[:size] < 0).any():
        raise ImageError(f"damaged: it holds {body[:size].max()}, and says that {white} is white")
    return values.reshape(*shape, -1), white


def white_of_sixteen(image: Image.Image) -> int:
    """The white of an opened grey picture of 16 bits: what a TIFF says of its bits, else 65535."""
    if image.format != "TIFF":
        return 65535
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))  # type: ignore[attr-defined]
    return (1 << int(bits[0])) - 1 if 8 < int(bits[0]) < 16 else 65535
