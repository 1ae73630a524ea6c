"""Decoding: the bytes of an image file to uint8 pixels ``(h, w, c)``, ``c`` is 1 (grey) or 3 (RGB).

Pillow decodes everything but ordinary JPEGs, which simplejpeg decodes, to the same pixels in half
the time; what it complains about goes to Pillow. It is installed where PyPI has wheels of it;
without it the same files are accepted and refused.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images.deep import is_deep, is_deep_grey, white_of_sixteen
from latentmap.images.jpeg import JpegHeader, jpeg_header
from latentmap.images.pillow import (
    Values,
    is_grey,
    loaded,
    opened,
    orientation_of,
    unturned_size,
    white_of,
)
from latentmap.images.pixel_memory import decoding_memory, take_memory
from latentmap.images.pnm import pnm_head
from latentmap.images.values import ValueRange, eight_bits

try:
    import simplejpeg
except ImportError:
    simplejpeg = None


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
    with opened(data) as image:
        deep_grey = is_deep_grey(image)  # Asking for tags may load the image, which forgets it.
        # Asking for tags may decode the image, too: those of a PNG may stand at its end.
        take_memory(decoding_memory(image, data, deep=is_deep(image)), data)
        turned = orientation_of(image, data) in (5, 6, 7, 8)
        # Pillow turns TIFF itself, some versions on opening and some on loading.
        size = unturned_size(image)
        height, width = size if turned else size[::-1]
        return (height, width, 1 if deep_grey or is_grey(image) else 3)


def reading_of(data: bytes) -> bytes:
    """What tells pixels apart that one file gave to different versions: empty for nearly all.

    Raises:
        ImageError: as in ``decode``, as far as the head shows it.
    """
    sixteen_bits = data[:4] == b"\x89PNG" and data[24:25] == b"\x10"
    if not (sixteen_bits or data[:4] in (b"II*\0", b"MM\0*")):
        return b""
    with opened(data) as image:
        grey = image.mode.startswith("I;16") and white_of_sixteen(image) != 65535
        return b"all bits\n" if grey or is_deep(image) else b""


def own_range(data: bytes) -> ValueRange:
    """Black and white as the file says them; raises ``ImageError`` as ``decode`` does."""
    if jpeg_header(data) is not None:
        return ValueRange(0.0, 255.0)
    with opened(data) as image:
        head = pnm_head(data) if image.format == "PPM" else None
        return ValueRange(0.0, float(white_of(image) if head is None else head.white))


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
        with opened(data) as image:
            return orientation_of(image, data) == 1
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


def decode_with_pillow(data: bytes, values: ValueRange | None = None) -> np.ndarray:
    """``decode`` without simplejpeg."""

    def pixels_of(found: Values) -> np.ndarray:
        if values is None:
            pixels = eight_bits(found.colours, found.white)
        else:
            pixels = values.to_eight_bits(found.colours)
        return pixels if found.alpha is None else _over_white(pixels, found.alpha)

    with loaded(data) as picture:
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

    with loaded(data) as picture:
        return Values(picture.upright(colours_of), whites[0])


def _over_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    # Of a grey picture over white all three channels are equal.
    colours = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    picture = Image.fromarray(np.dstack([colours, alpha]))
    white = Image.new("RGBA", picture.size, "white")
    laid = np.asarray(Image.alpha_composite(white, picture).convert("RGB"))
    return laid[:, :, : pixels.shape[2]]
