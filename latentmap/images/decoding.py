"""Decoding: the bytes of an image file to uint8 pixels ``(h, w, c)``, ``c`` is 1 (grey) or 3 (RGB).

Pillow decodes everything. With the extra ``fast`` installed, simplejpeg decodes ordinary JPEGs, to
the same pixels; what it complains about goes to Pillow, so that both installs accept and refuse the
same files.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from latentmap.errors import ImageError

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

# What Pillow's plugins raise on files that are cut off or damaged.
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_ORIENTATION = 0x0112


@dataclass
class Scratch:
    """Memory for decoded pixels that is used again: fresh pages cost a fifth of a decode.

    For one thread at a time.
    """

    _memory: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uninitialised uint8 of ``shape``, valid until the next call."""
        size = int(np.prod(shape))
        if size > self._memory.size:
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size].reshape(shape)


def decode(data: bytes) -> np.ndarray:
    """The pixels of an image file: uint8 ``(h, w, 1)`` for grey, ``(h, w, 3)`` for colour.

    EXIF orientation is applied, transparency laid over white, CMYK and palettes turned into RGB,
    16 bits and floats in [0, 1] rounded to 8.

    Raises:
        ImageError: the file is no image, damaged, cut off or larger than Pillow's limit.
    """
    header = plain_jpeg(data)
    if header is not None:
        pixels = np.empty(header, np.uint8)
        if decode_plain_jpeg(data, pixels):
            return pixels
    return decode_with_pillow(data)


def picture_shape(data: bytes) -> tuple[int, int, int]:
    """Height, width and channels that ``decode`` would give, from the head of the file.

    Raises:
        ImageError: as in ``decode``, as far as the head shows it.
    """
    header = _jpeg_header(data)
    if header is not None and header.upright:
        return (header.height, header.width, 1 if header.components == 1 else 3)
    with _opened(data) as image:
        turned = _orientation(image) in (5, 6, 7, 8)
        if turned and image.format == "TIFF":
            # Pillow turns TIFF itself, some versions on opening and some on loading.
            image.load()
            turned = False
        height, width = image.size if turned else image.size[::-1]
        return (height, width, 1 if image.mode in _GREY_MODES else 3)


def plain_jpeg(data: bytes) -> tuple[int, int, int] | None:
    """The shape of a JPEG for simplejpeg; None for other files, or when there is no simplejpeg."""
    if simplejpeg is None:
        return None
    header = _jpeg_header(data)
    if header is None or not (header.upright and header.components in (1, 3)):
        return None
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and header.height * header.width > limit:
        return None
    return (header.height, header.width, header.components)


@dataclass(frozen=True)
class _JpegHeader:
    height: int
    width: int
    components: int
    upright: bool


def _jpeg_header(data: bytes) -> _JpegHeader | None:
    """What stands before the pixels; None for what is no 8-bit baseline or progressive JPEG."""
    if data[:2] != b"\xff\xd8":
        return None
    position, upright = 2, True
    while position + 9 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in (0xC0, 0xC1, 0xC2):
            precision, height, width, components = struct.unpack_from(">BHHB", data, position + 4)
            if precision != 8 or height == 0 or width == 0:
                return None
            return _JpegHeader(height, width, components, upright)
        # Segments of EXIF or XMP: reading them costs a tenth of the decode, so only where they are.
        if marker == 0xE1 and upright:
            upright = _is_upright(data)
        if not (
            marker == 0xC4 or 0xDB <= marker <= 0xDF or 0xE0 <= marker <= 0xEF or marker == 0xFE
        ):
            return None
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return None


def _is_upright(data: bytes) -> bool:
    try:
        with _opened(data) as image:
            return _orientation(image) == 1
    except ImageError:
        return False


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
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"no image that can be read ({', '.join(FORMATS)})") from error
    except _BOMBS as error:
        limit = Image.MAX_IMAGE_PIXELS
        raise ImageError(f"more pixels than Pillow's limit of {limit} allows") from error
    except _UNREADABLE as error:
        raise ImageError(f"damaged or cut off: {error}") from error


def decode_with_pillow(data: bytes) -> np.ndarray:
    """``decode`` without simplejpeg."""
    with _opened(data) as image:
        image.load()
        return _to_pixels(image if _orientation(image) == 1 else ImageOps.exif_transpose(image))


def _orientation(image: Image.Image) -> int:
    """1 is upright, up to 8; Pillow turns TIFF itself when it loads it."""
    if image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}:
        return 1  # Asking for tags costs a twentieth of a decode.
    return int(image.getexif().get(_ORIENTATION, 1))


def _to_pixels(image: Image.Image) -> np.ndarray:
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        array = np.asarray(image)
        return array if array.ndim == 3 else array[:, :, None]
    if image.mode.startswith("I") or image.mode == "F":
        return _to_eight_bits(np.asarray(image))[:, :, None]
    grey = image.mode in _GREY_MODES
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        # Of a grey picture over white all three channels are equal.
        return np.asarray(image)[:, :, :1] if grey else np.asarray(image)
    array = np.asarray(image.convert("L" if grey else "RGB"))
    return array[:, :, None] if grey else array


def _to_eight_bits(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        return round_unit_floats(values)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise ImageError(
            f"grey values must be from 0 to 65535, not {values.min()} to {values.max()}"
        )
    return ((values.astype(np.int64) + 128) // 257).astype(np.uint8)


def round_unit_floats(values: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] as uint8: ``round(255 x)``, halves up.

    Raises:
        ImageError: a value is outside or not a number.
    """
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ImageError(
            f"float pixels must be in [0, 1], not {values.min():g} to {values.max():g}: "
            "scale them, or give uint8"
        )
    return np.floor(values * 255 + 0.5).astype(np.uint8)
