"""Changes of Parquet: the footer, which says what lies where, heads of pages, and values."""

from __future__ import annotations

from random import Random

from tests.fuzz.byte_changes import EDGES, change_bytes

_MAGIC = b"PAR1"
_TAIL = 8  # The length of the footer, and the magic bytes.


def change_parquet(chance: Random, data: bytes) -> bytes:
    """A footer that was changed, with the length that fits; another length; or changed pages."""
    length = int.from_bytes(data[-_TAIL:-4], "little")
    start = len(data) - _TAIL - length
    if not data.endswith(_MAGIC) or start < len(_MAGIC):
        return change_bytes(chance, data)
    pages, footer = data[len(_MAGIC) : start], data[start:-_TAIL]
    match chance.randrange(8):
        case 0:
            length = chance.choice((*EDGES, length - 1, length + 1)) % (1 << 32)
            return _MAGIC + pages + footer + length.to_bytes(4, "little") + _MAGIC
        case 1:
            return change_bytes(chance, data)
        case 2 | 3:
            pages = change_bytes(chance, pages)
        case 4:
            pages = _numbers(chance, pages)
        case 5:
            footer = change_bytes(chance, footer)
        case _:
            footer = _numbers(chance, footer)
    return _MAGIC + pages + footer + len(footer).to_bytes(4, "little") + _MAGIC


def _numbers(chance: Random, data: bytes) -> bytes:
    """Some places hold other numbers as Thrift packs them: seven bits a byte, the sign last."""
    changed = bytearray(data)
    for _ in range(1 << chance.randrange(3)):
        number = chance.choice(EDGES) * chance.choice((1, 1, -1))
        packed = _varint((number << 1) ^ (number >> 64))
        place = chance.randrange(len(changed) + 1)
        # As long as what was there, most often, so that what follows keeps its place.
        end = place + chance.choice((1, len(packed)))
        changed[place:end] = packed
    return bytes(changed)


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    packed = bytearray()
    while number > 127:
        packed.append(number & 127 | 128)
        number >>= 7
    return bytes([*packed, number])
