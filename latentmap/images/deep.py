"""Files with other than 8 bits a value, read with all of them.

Pillow keeps the upper 8 bits of 16-bit colour, and scales the values of PGM files before anybody
can say what is white. Grey PNG and TIFF of 16 bits need no help.
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
# What unpacks the lower byte where Pillow unpacks the upper one: the other order of bytes.
_OTHER_ORDER = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}


def is_deep(image: Image.Image) -> bool:
    """Whether an opened PNG or TIFF has 16 bits a colour, of which Pillow keeps 8."""
    return image.mode in ("RGB", "RGBA") and _lower_tiles(image) is not None


def deep_colours(image: Image.Image, data: bytes, opened: _Open) -> np.ndarray:
    """The values of an image that ``is_deep``: uint16 ``(h, w, c)``, upright, ``c`` is 3 or 4.

    ``opened`` opens its ``data`` anew: it is decoded twice, once for each half of the bits.
    """
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
        arguments = tile[3]
        raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        name, _, bits = raw.partition(";") if isinstance(raw, str) else ("", "", "")
        if name not in ("RGB", "RGBA", "RGBX") or bits not in _OTHER_ORDER:
            return None
        other = f"{name};{_OTHER_ORDER[bits]}"
        swapped = (other, *arguments[1:]) if isinstance(arguments, tuple) else other
        # Newer versions of Pillow want their own kind of tuple.
        whole = (*tile[:3], swapped)
        tiles.append(whole if type(tile) is tuple else type(tile)(*whole))
    return tiles or None


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
