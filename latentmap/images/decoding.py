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
from latentmap.files.kinds import kind_of_bytes
from latentmap.images.deep import deep_colours, is_deep, is_deep_grey, pnm_values, white_of_sixteen
from latentmap.images.formats import FORMATS, OTHER_FORMATS
from latentmap.images.values import ValueRange, eight_bits

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

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
        ImageError: the file is no image, damaged, cut off or larger than Pillow's limit.
    """
    header = plain_jpeg(data) if values is None else None
    if header is not None:
        pixels = np.empty(header, np.uint8)
        if decode_plain_jpeg(data, pixels):
            return pixels
    return decode_with_pillow(data, values)


def picture_shape(data: bytes) -> tuple[int, int, int]:
    """Height, width and channels that ``decode`` would give, from the head of the file.

    Raises:
        ImageError: as in ``decode``, as far as the head shows it.
    """
    header = _jpeg_header(data)
    if header is not None and header.upright and not _is_large(header):
        return (header.height, header.width, 1 if header.components == 1 else 3)
    with _opened(data) as image:
        deep_grey = is_deep_grey(image)  # Asking for tags may load the image, which forgets it.
        turned = _orientation(image) in (5, 6, 7, 8)
        if turned and image.format == "TIFF":
            # Pillow turns TIFF itself, some versions on opening and some on loading.
            image.load()
            turned = False
        height, width = image.size if turned else image.size[::-1]
        return (height, width, 1 if deep_grey or _is_grey(image) else 3)


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
    if _jpeg_header(data) is not None:
        return ValueRange(0.0, 255.0)
    with _opened(data) as image:
        exact = pnm_values(data, image.size[::-1]) if image.format == "PPM" else None
        return ValueRange(0.0, float(_white(image) if exact is None else exact[1]))


def plain_jpeg(data: bytes) -> tuple[int, int, int] | None:
    """The shape of a JPEG for simplejpeg; None for other files, or when there is no simplejpeg."""
    if simplejpeg is None:
        return None
    header = _jpeg_header(data)
    if header is None or not (header.upright and header.components in (1, 3)):
        return None
    if _is_large(header):
        return None
    return (header.height, header.width, header.components)


@dataclass(frozen=True)
class _JpegHeader:
    height: int
    width: int
    components: int
    upright: bool


def _is_large(header: _JpegHeader) -> bool:
    """Whether an image is so large that it is Pillow's to take or to refuse it."""
    limit = Image.MAX_IMAGE_PIXELS
    return limit is not None and header.height * header.width > limit


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
        with _identified(data) as image:
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        kind = kind_of_bytes(data)
        if kind is not None and kind.broken:
            raise ImageError(f"it is {kind.what}: {kind.advice}") from error
        kinds = ", ".join(FORMATS)
        raise ImageError(f"no image that can be read ({kinds} and rarer ones)") from error
    except _BOMBS as error:
        # Pillow refuses at twice the limit at which it warns; its message has the right one.
        said = str(error).partition(",")[0]
        raise ImageError(
            f"more pixels than Pillow's limit allows: {said}; make it smaller"
        ) from error
    except _UNREADABLE as error:
        raise ImageError(f"damaged or cut off: {error}") from error


def _identified(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        Image.init()  # All plugins: which of them are there depends on how Pillow was built.
        others = [name for name in OTHER_FORMATS if name in Image.OPEN]
        return Image.open(io.BytesIO(data), formats=others)


def decode_with_pillow(data: bytes, values: ValueRange | None = None) -> np.ndarray:
    """``decode`` without simplejpeg."""
    found = decode_values(data)
    if values is None:
        pixels = eight_bits(found.colours, found.white)
    else:
        pixels = values.to_eight_bits(found.colours)
    if found.alpha is None:
        return pixels
    # Of a grey picture over white all three channels are equal.
    colours = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    picture = Image.fromarray(np.dstack([colours, found.alpha]))
    white = Image.new("RGBA", picture.size, "white")
    laid = np.asarray(Image.alpha_composite(white, picture).convert("RGB"))
    return laid[:, :, : pixels.shape[2]]


def decode_values(data: bytes) -> Values:
    """The values of an image file, as they stand in it.

    Raises:
        ImageError: as in ``decode``.
    """
    with _opened(data) as image:
        if image.format == "PPM":
            exact = pnm_values(data, image.size[::-1])
            if exact is not None:
                return Values(*exact)
        if is_deep(image):
            deep = deep_colours(image, data, _opened)
            if deep.shape[2] == 3:
                return Values(deep, 65535)
            return Values(deep[:, :, :-1], 65535, eight_bits(deep[:, :, -1], 65535))
        white = _white(image)
        image.load()
        upright = image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
        return _to_values(upright, white)


def _orientation(image: Image.Image) -> int:
    """1 is upright, up to 8; Pillow turns TIFF itself when it loads it."""
    if image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}:
        return 1  # Asking for tags costs a twentieth of a decode.
    return int(image.getexif().get(_ORIENTATION, 1))


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
