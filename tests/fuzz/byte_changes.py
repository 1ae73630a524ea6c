"""Changes of bytes, whatever they mean."""

from __future__ import annotations

import functools
import gzip
import zlib
from random import Random

# Numbers at which programs break.
EDGES = (
    *(0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31),
    *(2**32 - 1, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
)


def change_bytes(chance: Random, data: bytes) -> bytes:
    """Some bytes flipped, set, left out, doubled or moved, or the file cut off."""
    changed = bytearray(data)
    for _ in range(1 << chance.randrange(4)):
        _change(chance, changed)
    return bytes(changed)


def _change(chance: Random, data: bytearray) -> None:
    if not data:
        data += chance.randbytes(chance.randrange(1, 9))
        return
    # The head of a file decides most.
    near = min(len(data), 1 << chance.randrange(4, 30))
    place = chance.randrange(near)
    length = min(1 << chance.randrange(9), len(data) - place)
    match chance.randrange(9):
        case 0:
            data[place] ^= 1 << chance.randrange(8)
        case 1:
            data[place] = chance.choice((0, 1, 32, 127, 128, 255, chance.randrange(256)))
        case 2 | 3:
            width = chance.choice((2, 4, 8))
            number = chance.choice(EDGES) + chance.choice((-1, 0, 0, 1))
            data[place : place + width] = (number % (1 << 8 * width)).to_bytes(
                width, chance.choice(("little", "big"))
            )
        case 4:
            del data[place : place + length]
        case 5:
            data[place:place] = data[place : place + length] * chance.choice((1, 1, 2, 100))
        case 6:
            other = chance.randrange(len(data))
            data[place : place + length] = data[other : other + length]
        case 7:
            data[place:place] = chance.choice(
                (chance.randbytes(length), bytes(length), b"\xff" * length, b"A" * 5000)
            )
        case 8:
            del data[place:]


def bomb_size(chance: Random) -> int:
    """Bytes that zeros are packed from: a few, or more than a reader may take."""
    return 300 * 10**6 if chance.random() < 0.05 else 10**6


@functools.cache
def deflated_zeros(size: int) -> tuple[bytes, int]:
    """Many zeros, packed without a head, and their checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed, crc = bytearray(), 0
    block = bytes(10**6)
    for _ in range(size // len(block)):
        packed += packer.compress(block)
        crc = zlib.crc32(block, crc)
    return bytes(packed + packer.flush()), crc


def zlib_zeros(size: int) -> bytes:
    """Many zeros as PNG has them."""
    packed, _ = deflated_zeros(size)
    # The checksum of zeros: Adler's sums over ones and counts.
    return b"\x78\xda" + packed + (size % 65521 << 16 | 1).to_bytes(4, "big")


def gzip_zeros(size: int) -> bytes:
    """Many zeros as a member of a gzip file."""
    packed, crc = deflated_zeros(size)
    head = gzip.compress(b"", mtime=0)[:10]
    return head + packed + crc.to_bytes(4, "little") + size.to_bytes(4, "little")
