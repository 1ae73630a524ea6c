"""Decoding: the bytes of an image file to uint8 pixels ``(h, w, c)``, ``c`` is 1 (grey) or 3 (RGB).

Pillow decodes everything. With the extra ``fast`` installed, simplejpeg decodes ordinary JPEGs, to
the same pixels; what it complains about goes to Pillow, so that both installs accept and refuse the
same files.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, UnidentifiedImageError

from latentmap.errors import ImageError
from latentmap.files.kinds import kind_of_bytes
from latentmap.files.reading import reason_of
from latentmap.images.deep import Box, deep_parts, is_deep, is_deep_grey, white_of_sixteen
from latentmap.images.formats import FORMATS, OTHER_FORMATS
from latentmap.images.jpeg import JpegHeader, jpeg_header, without_needless
from latentmap.images.pixel_memory import (
    decoding_memory,
    require_inner_memory,
    require_tag_memory,
    take_memory,
)
from latentmap.images.pnm import pnm_head, pnm_values
from latentmap.images.remarks import without_remarks
from latentmap.images.values import ValueRange, eight_bits

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_ORIENTATION = 0x0112
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_TAGS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
_PART = 1 << 18  # Pixels.
_KEPT = 1 << 22


@dataclass
class Scratch:
    """Memory for decoded pixels that is used again: fresh pages cost a fifth of a decode.

    For one thread at a time. What is large is not kept.
    """

    _memory: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uninitialised uint8 of ``shape``, valid until the next call."""
        size = math.prod(shape)
        if size > _KEPT:
            return np.empty(shape, np.uint8)
        if size > self._memory.size:
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size].reshape(shape)


@dataclass(frozen=True, eq=False)
class Values:
    """What stands in an image file, turned upright: ``colours`` ``(h, w, c)`` of any type, of which
    ``white`` is what the file means by white; ``alpha`` uint8 ``(h, w)`` where there is one.
    """

    colours: np.ndarray
    white: float
    alpha: np.ndarray | None = None


def decode(data: bytes, values: ValueRange | None = None) -> np.ndarray:
    """The pixels of an image file: uint8 ``(h, w, 1)`` for grey, ``(h, w, 3)`` for colour.

    EXIF orientation is applied, transparency laid over white, CMYK and palettes turned into RGB,
    other than 8 bits rounded to them; ``values`` says what is black and white where it is not what
    the file says. Of several frames it is the first.

    Raises:
        ImageError: the file is no image, damaged, cut off or larger than Pillow's limit, or takes
            more memory than a file of its size may.
    """
    plain = plain_jpeg(data) if values is None else None
    if plain is not None:
        pixels = np.empty(plain, np.uint8)
        if decode_plain_jpeg(data, pixels):
            return pixels
    return decode_with_pillow(data, values)


def picture_shape(data: bytes) -> tuple[int, int, int]:
    """Height, width and channels that ``decode`` would give, from the head of the file.

    Raises:
        ImageError: as in ``decode``, as far as the head shows it.
    """
    header = jpeg_header(data)
    if header is not None and not _is_large(header) and _is_upright(data, header):
        if simplejpeg is not None and header.components in (1, 3):
            take_memory(len(data) + _memory_of(header), data)
            return (header.height, header.width, header.components)
    with _opened(data) as image:
        deep_grey = is_deep_grey(image)  # Asking for tags may load the image, which forgets it.
        # Asking for tags may decode the image, too: those of a PNG may stand at its end.
        take_memory(decoding_memory(image, data, deep=is_deep(image)), data)
        turned = _orientation(image, data) in (5, 6, 7, 8)
        # Pillow turns TIFF itself, some versions on opening and some on loading.
        size = _stored_size(image)
        height, width = size if turned else size[::-1]
        return (height, width, 1 if deep_grey or _is_grey(image) else 3)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened file before it is turned."""
    if image.format != "TIFF":
        return image.size
    tags = image.tag_v2  # type: ignore[attr-defined]  # of TIFF alone
    return int(tags[256]), int(tags[257])


def reading_of(data: bytes) -> bytes:
    """What tells pixels apart that one file gave to different versions: empty for nearly all.

    Raises:
        ImageError: as in ``decode``, as far as the head shows it.
    """
    sixteen_bits = data[:4] == b"\x89PNG" and data[24:25] == b"\x10"
    if not (sixteen_bits or data[:4] in (b"II*\0", b"MM\0*")):
        return b""
    with _opened(data) as image:
        grey = image.mode.startswith("I;16") and white_of_sixteen(image) != 65535
        return b"all bits\n" if grey or is_deep(image) else b""


def own_range(data: bytes) -> ValueRange:
    """Black and white as the file says them; raises ``ImageError`` as ``decode`` does."""
    if jpeg_header(data) is not None:
        return ValueRange(0.0, 255.0)
    with _opened(data) as image:
        head = pnm_head(data) if image.format == "PPM" else None
        return ValueRange(0.0, float(_white(image) if head is None else head.white))


def plain_jpeg(data: bytes) -> tuple[int, int, int] | None:
    """The shape of a JPEG for simplejpeg, whose memory is taken; None for other files, or when
    there is no simplejpeg.

    Raises:
        ImageError: it takes more memory than a file of its size may.
    """
    if simplejpeg is None:
        return None
    header = jpeg_header(data)
    if header is None or header.components not in (1, 3) or _is_large(header):
        return None
    if not _is_upright(data, header):
        return None
    take_memory(len(data) + _memory_of(header), data)
    return (header.height, header.width, header.components)


def _is_large(header: JpegHeader) -> bool:
    """Whether an image is so large that it is Pillow's to take or to refuse it."""
    limit = Image.MAX_IMAGE_PIXELS
    return limit is not None and header.height * header.width > limit


def _is_upright(data: bytes, header: JpegHeader) -> bool:
    if not header.may_be_turned:
        return True  # Looking for tags costs a tenth of the decode.
    try:
        with _opened(data) as image:
            return _orientation(image, data) == 1
    except ImageError:
        return False


def _memory_of(header: JpegHeader) -> int:
    """Bytes that simplejpeg takes, with the pixels."""
    channels = 1 if header.components == 1 else 3
    return int(header.height * header.width * (channels + header.coefficients))


def decode_plain_jpeg(data: bytes, pixels: np.ndarray) -> bool:
    """Decodes what ``plain_jpeg`` gave a shape for; False when it complains: ask Pillow then."""
    try:
        simplejpeg.decode_jpeg(
            data, "GRAY" if pixels.shape[2] == 1 else "RGB", buffer=pixels, strict=True
        )
    except ValueError:
        return False
    return True


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The file opened by Pillow; what goes wrong inside is an ImageError that says what it was."""
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


def decode_with_pillow(data: bytes, values: ValueRange | None = None) -> np.ndarray:
    """``decode`` without simplejpeg."""

    def pixels_of(found: Values) -> np.ndarray:
        if values is None:
            pixels = eight_bits(found.colours, found.white)
        else:
            pixels = values.to_eight_bits(found.colours)
        return pixels if found.alpha is None else _over_white(pixels, found.alpha)

    with _parts(data) as picture:
        return picture.upright(pixels_of)


def decode_values(data: bytes) -> Values:
    """The values of an image file, as they stand in it, without its transparency.

    Raises:
        ImageError: as in ``decode``.
    """
    shape = plain_jpeg(data)
    if shape is not None:
        pixels = np.empty(shape, np.uint8)
        if decode_plain_jpeg(data, pixels):
            return Values(pixels, 255)
    whites = []

    def colours_of(found: Values) -> np.ndarray:
        whites.append(found.white)
        return found.colours

    with _parts(data) as picture:
        return Values(picture.upright(colours_of), whites[0])


def _over_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    # Of a grey picture over white all three channels are equal.
    colours = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    picture = Image.fromarray(np.dstack([colours, alpha]))
    white = Image.new("RGBA", picture.size, "white")
    laid = np.asarray(Image.alpha_composite(white, picture).convert("RGB"))
    return laid[:, :, : pixels.shape[2]]


@dataclass(frozen=True, eq=False)
class _Picture:
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
def _parts(data: bytes) -> Iterator[_Picture]:
    """A file opened and loaded, in memory that is taken for it."""
    with _opened(data) as image:
        deep = is_deep(image)
        take_memory(decoding_memory(image, data, deep=deep), data)
        head = pnm_head(data) if image.format == "PPM" else None
        if head is not None:
            whole = Values(pnm_values(data, head), head.white)
            yield _Picture(head.height, head.width, 1, iter([whole]))
        elif deep:
            parts = deep_parts(image, data, _opened, _boxes)
            first = next(parts)  # Loads the image; asking for tags would do so, too, and forget.
            rest = map(_of_sixteen, itertools.chain([first], parts))
            yield _Picture(image.height, image.width, _orientation_of_loaded(image, data), rest)
        else:
            white = _white(image)
            image.load()
            small = image.width * image.height <= _PART
            boxes = _boxes(*image.size)
            cut = iter([image]) if small else (image.crop(box) for box in boxes)
            values = (_to_values(part, white) for part in cut)
            yield _Picture(image.height, image.width, _orientation_of_loaded(image, data), values)


def _boxes(width: int, height: int) -> Iterator[Box]:
    """The parts of a picture that are converted at once."""
    rows = max(1, _PART // width)
    for top in range(0, height, rows):
        yield (0, top, width, min(top + rows, height))


def _of_sixteen(deep: np.ndarray) -> Values:
    if deep.shape[2] == 3:
        return Values(deep, 65535)
    return Values(deep[:, :, :-1], 65535, eight_bits(deep[:, :, -1], 65535))


def _orientation(image: Image.Image, data: bytes) -> int:
    """1 is upright, up to 8; Pillow turns TIFF itself when it loads it."""
    if image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}:
        return 1  # Asking for tags costs a twentieth of a decode.
    if image.format == "PNG" and not any(tags in data for tags in _PNG_TAGS):
        return 1  # Asking for tags decodes all of it, as they may stand at its end.
    return int(image.getexif().get(_ORIENTATION, 1))


def _orientation_of_loaded(image: Image.Image, data: bytes) -> int:
    return 1 if image.format == "TIFF" else _orientation(image, data)


def _is_grey(image: Image.Image) -> bool:
    if image.format == "GIF" and image.mode == "P":
        # GIF has no grey of its own.
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY_MODES


def _white(image: Image.Image) -> int:
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
    grey = _is_grey(image)
    if image.has_transparency_data:
        array = np.asarray(image.convert("RGBA"))
        return Values(array[:, :, : 1 if grey else 3], 255, array[:, :, 3])
    array = np.asarray(image.convert("L" if grey else "RGB"))
    return Values(array[:, :, None] if grey else array, 255)
