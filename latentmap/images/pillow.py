"""Image files as Pillow opens them: what their heads say, and their values part by part.

What is wrong with one is an ``ImageError`` that says what it was; no more memory is taken than a
file of its size may.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from latentmap.errors import ImageError
from latentmap.files.kinds import kind_of_bytes
from latentmap.files.reading import reason_of
from latentmap.images.deep import Box, deep_parts, is_deep, white_of_sixteen
from latentmap.images.formats import FORMATS, OTHER_FORMATS
from latentmap.images.jpeg import without_needless
from latentmap.images.pixel_memory import (
    decoding_memory,
    require_inner_memory,
    require_tag_memory,
    take_memory,
)
from latentmap.images.pnm import pnm_head, pnm_values
from latentmap.images.remarks import without_remarks
from latentmap.images.values import eight_bits

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_ORIENTATION = 0x0112
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_TAGS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
_PART = 1 << 18  # Pixels.


@dataclass(frozen=True, eq=False)
class Values:
    """What stands in an image file, or in a part of it: ``colours`` ``(h, w, c)`` of any type, of
    which ``white`` is what the file means by white; ``alpha`` uint8 ``(h, w)`` where there is one.
    """

    colours: np.ndarray
    white: float
    alpha: np.ndarray | None = None


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """A file opened by Pillow.

    Raises:
        ImageError: whatever goes wrong in the block; it says what it was.
    """
    try:
        with without_remarks(), _identified(data) as image:
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        kind = kind_of_bytes(data)
        if kind is not None and kind.broken:
            raise ImageError(f"it is {kind.what}: {kind.advice}") from error
        kinds = ", ".join(FORMATS)
        raise ImageError(f"no image that can be read ({kinds} and rarer ones)") from error
    except Image.DecompressionBombError as error:
        # Pillow refuses at twice the limit at which it warns; its message has the right one.
        said = str(error).partition(",")[0]
        raise ImageError(
            f"more pixels than Pillow's limit allows: {said}; make it smaller"
        ) from error
    except Exception as error:  # Of many types: what its plugins raise on damaged files.
        raise ImageError(f"damaged or cut off: {reason_of(error)}") from error


def _identified(data: bytes) -> Image.Image:
    if data[:2] == b"\xff\xd8":
        data = without_needless(data)
    elif data[:4] in _TIFF:
        require_tag_memory(data)
    pnm_head(data)
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        Image.init()  # All plugins: which of them are there depends on how Pillow was built.
        require_inner_memory(data)
        others = [name for name in OTHER_FORMATS if name in Image.OPEN]
        return Image.open(io.BytesIO(data), formats=others)


@dataclass(frozen=True, eq=False)
class Picture:
    """An opened file: its height and width where it lies, how it is turned, and its values, part by
    part from above, so that they are never all there in several types.
    """

    height: int
    width: int
    orientation: int
    parts: Iterator[Values]

    def upright(self, convert: Callable[[Values], np.ndarray]) -> np.ndarray:
        """What ``convert`` makes of the values, ``(h, w, c)`` of the picture as it is seen."""
        first = convert(next(self.parts))
        if len(first) == self.height and self.orientation == 1:
            return first
        swapped = self.orientation > 4
        shape = (self.width, self.height) if swapped else (self.height, self.width)
        seen = np.empty((*shape, first.shape[2]), first.dtype)
        stored = _as_stored(seen, self.orientation)
        stored[: len(first)] = first
        top = len(first)
        for part in map(convert, self.parts):
            stored[top : top + len(part)] = part
            top += len(part)
        return seen


def _as_stored(seen: np.ndarray, orientation: int) -> np.ndarray:
    """A picture as it is seen, through the eyes of the file: a view of the same memory."""
    if orientation > 4:
        seen = seen.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 6, 7) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 7, 8) else 1)
    return seen[rows, columns]


@contextmanager
def loaded(data: bytes) -> Iterator[Picture]:
    """A file opened and loaded, in memory that is taken for it.

    Raises:
        ImageError: it is damaged, or takes more memory than a file of its size may; or as in
            ``opened``.
    """
    with opened(data) as image:
        deep = is_deep(image)
        take_memory(decoding_memory(image, data, deep=deep), data)
        head = pnm_head(data) if image.format == "PPM" else None
        if head is not None:
            whole = Values(pnm_values(data, head), head.white)
            yield Picture(head.height, head.width, 1, iter([whole]))
        elif deep:
            parts = deep_parts(image, data, opened, _boxes)
            first = next(parts)  # Loads the image; asking for tags would do so, too, and forget.
            rest = map(_of_sixteen, itertools.chain([first], parts))
            yield Picture(image.height, image.width, _orientation_of_loaded(image, data), rest)
        else:
            white = white_of(image)
            image.load()
            small = image.width * image.height <= _PART
            boxes = _boxes(*image.size)
            cut = iter([image]) if small else (image.crop(box) for box in boxes)
            values = (_to_values(part, white) for part in cut)
            yield Picture(image.height, image.width, _orientation_of_loaded(image, data), values)


def _boxes(width: int, height: int) -> Iterator[Box]:
    """The parts of a picture that are converted at once."""
    rows = max(1, _PART // width)
    for top in range(0, height, rows):
        yield (0, top, width, min(top + rows, height))


def _of_sixteen(deep: np.ndarray) -> Values:
    if deep.shape[2] == 3:
        return Values(deep, 65535)
    return Values(deep[:, :, :-1], 65535, eight_bits(deep[:, :, -1], 65535))


def unturned_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened file before it is turned."""
    if image.format != "TIFF":
        return image.size
    tags = image.tag_v2  # type: ignore[attr-defined]  # of TIFF alone
    return int(tags[256]), int(tags[257])


def orientation_of(image: Image.Image, data: bytes) -> int:
    """1 is upright, up to 8; Pillow turns TIFF itself when it loads it."""
    if image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}:
        return 1  # Asking for tags costs a twentieth of a decode.
    if image.format == "PNG" and not any(tags in data for tags in _PNG_TAGS):
        return 1  # Asking for tags decodes all of it, as they may stand at its end.
    return int(image.getexif().get(_ORIENTATION, 1))


def _orientation_of_loaded(image: Image.Image, data: bytes) -> int:
    return 1 if image.format == "TIFF" else orientation_of(image, data)


def is_grey(image: Image.Image) -> bool:
    """Whether an opened file has no colours."""
    if image.format == "GIF" and image.mode == "P":
        # GIF has no grey of its own.
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY_MODES


def white_of(image: Image.Image) -> int:
    """What an opened file means by white."""
    if image.mode.startswith("I"):
        return white_of_sixteen(image)
    return 65535 if is_deep(image) else 1 if image.mode == "F" else 255


def _to_values(image: Image.Image, white: int) -> Values:
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        array = np.asarray(image)
        return Values(array if array.ndim == 3 else array[:, :, None], 255)
    if image.mode == "F" or image.mode.startswith("I"):
        return Values(np.asarray(image)[:, :, None], white)
    grey = is_grey(image)
    if image.has_transparency_data:
        array = np.asarray(image.convert("RGBA"))
        return Values(array[:, :, : 1 if grey else 3], 255, array[:, :, 3])
    array = np.asarray(image.convert("L" if grey else "RGB"))
    return Values(array[:, :, None] if grey else array, 255)
