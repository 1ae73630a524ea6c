"""What stands before the pixels of a JPEG, without decoding it."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from latentmap.errors import ImageError

# Pillow takes quadratic time for what segments hold; pictures with depth maps have some 100. Where
# there are more, those go that say nothing of pixels, and all but the first that may have tags.
_MOST_SEGMENTS = 1024
_MOST_TAGGED = 16
_TAGGED, _NEEDLESS = 0xE1, {*range(0xE2, 0xEE), 0xEF, 0xFE}
SMALL = 1 << 16  # Pixels.
_MARKER = re.compile(rb"\xff([^\x00\xff])")  # The last of its bytes of filling, too.
# A progressive picture has some ten scans, and each takes time for all of its pixels.
_MOST_SCANS = 64
_SCAN, _END = b"\xff\xda", 0xD9
_SOS, _ALONE = 0xDA, {0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class JpegHeader(NamedTuple):
    """Size and components of a picture of 8 bits, baseline or progressive.

    ``may_be_turned`` says that there are tags, which may say so; ``coefficients`` is how many
    bytes a pixel a decoder keeps until it has seen all scans, 0 where one scan has all.
    """

    height: int
    width: int
    components: int
    may_be_turned: bool
    coefficients: float


def jpeg_header(data: bytes) -> JpegHeader | None:
    """What stands before the pixels; None for what is no 8-bit baseline or progressive JPEG.

    Raises:
        ImageError: it has more scans than a picture needs.
    """
    if data[:2] != b"\xff\xd8":
        return None
    refuse_scans(data)
    position, turned = 2, False
    while position + 9 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in (0xC0, 0xC1, 0xC2):
            precision, height, width, components = struct.unpack_from(">BHHB", data, position + 4)
            if precision != 8 or height == 0 or width == 0:
                return None
            # Looking for scans costs as much as all of this; of a small picture it is no matter.
            small = height * width <= SMALL
            kept = 2.0 * components if small else coefficient_bytes(data)
            return JpegHeader(height, width, components, turned, kept)
        turned = turned or marker == 0xE1  # Segments of EXIF or XMP.
        if not (
            marker == 0xC4 or 0xDB <= marker <= 0xDF or 0xE0 <= marker <= 0xEF or marker == 0xFE
        ):
            return None
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return None


def refuse_scans(data: bytes) -> None:
    """Refuses a JPEG whose scans take a decoder any time.

    Raises:
        ImageError: it has more than a picture needs.
    """
    # What else is in a file, such as a video behind the picture, may hold the same bytes.
    if data.count(_SCAN) <= _MOST_SCANS:
        return
    position, scans = 2, 0
    while (found := _MARKER.search(data, position)) is not None:
        marker, position = found[1][0], found.end()
        scans += marker == _SOS
        if scans > _MOST_SCANS:
            raise ImageError(f"damaged: it has more than {_MOST_SCANS} scans")
        if marker == _END:
            return
        if marker not in _ALONE and position + 2 <= len(data):
            position += max(struct.unpack_from(">H", data, position)[0], 2)


def coefficient_bytes(data: bytes) -> float:
    """How many bytes a pixel a decoder keeps of a picture whose scans do not have all of it."""
    progressive, samples, components = False, 3.0, 3
    for marker, start, stop in _segments(data):
        if marker == _SOS:
            several = data[start + 4 : start + 5] != bytes([components])
            return 2 * samples if progressive or several else 0.0
        if marker in _FRAMES:
            components = data[start + 9] if start + 9 < len(data) else 0
            samples = _samples(data[start + 10 : stop])
            progressive = marker not in (0xC0, 0xC1)
    return 0.0


def without_needless(data: bytes) -> bytes:
    """A JPEG with so many segments before its pixels as Pillow can read in linear time.

    Raises:
        ImageError: it has more than a picture needs.
    """
    refuse_scans(data)
    if len(data) < 4 * _MOST_SEGMENTS:
        return data
    if sum(1 for _ in itertools.islice(_segments(data), _MOST_SEGMENTS + 1)) <= _MOST_SEGMENTS:
        return data
    parts, kept, tagged = [data[:2]], 0, 0
    for marker, start, stop in _segments(data):
        tagged += marker == _TAGGED
        if marker in _NEEDLESS or (marker == _TAGGED and tagged > _MOST_TAGGED):
            continue
        parts.append(data[start:] if marker == _SOS else data[start:stop])
        kept += 1
        if kept > _MOST_SEGMENTS:
            raise ImageError(f"damaged: it has more than {_MOST_SEGMENTS} segments before pixels")
    return b"".join(parts)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, beginning and end of what stands before the pixels, with the head of the first scan.

    They follow each other as Pillow reads them.
    """
    position = 2
    while (found := _MARKER.search(data, position)) is not None:
        marker, start, position = found[1][0], found.end() - 2, found.end()
        if marker not in _ALONE:
            if position + 2 > len(data):
                return
            position += max(struct.unpack_from(">H", data, position)[0], 2)
        yield marker, start, position
        if marker == _SOS:
            return


def _samples(components: bytes) -> float:
    """Values a pixel, of components that may be kept in a smaller size than the largest."""
    factors = [(byte >> 4, byte & 15) for byte in components[1::3]]
    largest = max((h for h, _ in factors), default=1) * max((v for _, v in factors), default=1)
    return sum(h * v for h, v in factors) / max(largest, 1)
