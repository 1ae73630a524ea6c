"""Changes of foreign checkpoints: opcodes of pickles, members of archives of torch, entries of
TensorFlow's index with their checksums.
"""

from __future__ import annotations

import pickletools
from random import Random

from latentmap.encoders.checkpoints.table import read_table
from tests.encoders.bundle_writer import field, table, varint
from tests.encoders.hostile_corpus import name, text
from tests.fuzz.byte_changes import EDGES, change_bytes

_OPCODES = (
    *(
        b"(",
        b")",
        b"]",
        b"}",
        b"0",
        b"1",
        b"2",
        b"N",
        b"\x88",
        b"\x89",
        b"R",
        b"b",
        b"s",
        b"u",
        b"a",
    ),
    *(b"e", b"t", b"\x85", b"\x86", b"\x87", b"\x81", b"\x92", b"\x93", b"\x94", b"\x8f", b"\x90"),
    *(
        b"\x91",
        b"Q",
        b"h\0",
        b"h\1",
        b"q\0",
        b"K\0",
        b"J\xff\xff\xff\xff",
        b".",
        b"G" + b"\x7f" * 8,
    ),
    *(name("os", "system"), name("torch", "FloatStorage"), name("collections", "OrderedDict")),
    *(name("torch._utils", "_rebuild_tensor_v2"), name("builtins", "getattr"), text("x" * 5000)),
    *(text("touch executed"), b"\x8a\x08" + b"\xff" * 8, b"\x8b\x00\x10\x00\x00", b"\x80\x05"),
    *(b"I" + b"9" * 5000 + b"\n", b"L9L\n", b"F1e999\n", b"Vx\n", b"S'x'\n", b"P1\n", b"C\x02ab"),
)


def change_pickle(chance: Random, data: bytes) -> bytes:
    """A pickle, and what follows it, with opcodes left out, put in, doubled or moved."""
    if chance.random() < 0.3:
        return change_bytes(chance, data)
    try:
        places = [place or 0 for _, _, place in pickletools.genops(data)]
    except Exception:  # A seed that is no whole pickle.
        return change_bytes(chance, data)
    end = places[-1] + 1
    parts = [data[a:b] for a, b in zip(places, [*places[1:], end], strict=True)]
    for _ in range(1 << chance.randrange(4)):
        place = chance.randrange(len(parts) + 1)
        match chance.randrange(5):
            case 0:
                parts[place : place + 1] = [chance.choice(_OPCODES)]
            case 1:
                parts.insert(place, chance.choice(_OPCODES))
            case 2:
                del parts[place : place + 1]
            case 3:
                piece = parts[place : place + (1 << chance.randrange(5))]
                other = chance.randrange(len(parts) + 1)
                parts[other:other] = piece * chance.choice((1, 1, 2, 200))
            case 4 if parts:
                other = chance.randrange(len(parts))
                parts[other] = change_bytes(chance, parts[other])
    return b"".join(parts) + data[end:]


def change_legacy(chance: Random, data: bytes) -> bytes:
    """A file of the older ``torch.save``: one of its pickles, or the numbers after them."""
    parts, rest = [], data
    while rest[:1] == b"\x80":
        try:
            length = max(place or 0 for _, _, place in pickletools.genops(rest)) + 1
        except Exception:  # What follows are numbers.
            break
        parts.append(rest[:length])
        rest = rest[length:]
    parts.append(rest)
    place = chance.randrange(len(parts))
    change = change_pickle if place < len(parts) - 1 else change_bytes
    parts[place] = change(chance, parts[place])
    return b"".join(parts)


def change_index(chance: Random, data: bytes) -> bytes:
    """The index of a TensorFlow checkpoint with other entries, and checksums that fit."""
    if chance.random() < 0.3:
        return change_bytes(chance, data)
    rows = [(bytes(key), bytes(value)) for key, value in read_table(memoryview(data))]
    for _ in range(1 << chance.randrange(3)):
        place = chance.randrange(len(rows)) if rows else 0
        match chance.randrange(6):
            case 0 | 1 if rows:
                rows[place] = (rows[place][0], change_bytes(chance, rows[place][1]))
            case 2 if rows:
                rows[place] = (change_bytes(chance, rows[place][0]), rows[place][1])
            case 3 if rows:
                del rows[place]
            case 4 if rows:
                rows[place:place] = rows[place : place + 1] * chance.choice((1, 100))
            case _:
                sides = b"".join(field(2, field(1, chance.choice(EDGES))) for _ in range(3))
                said = field(1, chance.choice((1, 3, 7, 9, 99))) + field(2, sides)
                said += field(4, chance.choice(EDGES)) + field(5, chance.choice(EDGES))
                rows.append((b"added", said + varint(6 << 3 | 5) + bytes(4)))
    if chance.random() < 0.8:
        rows.sort()
    made = table(rows, per_block=chance.choice((1, 7, 7, 100)))
    return change_bytes(chance, made) if chance.random() < 0.1 else made
