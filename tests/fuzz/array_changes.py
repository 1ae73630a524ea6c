"""Changes of arrays: the header of ``.npy``, the sizes of IDX."""

from __future__ import annotations

import struct
from random import Random

from tests.fuzz.byte_changes import EDGES, change_bytes

_TYPES = (
    *("|u1", "|i1", "|b1", "<u2", ">u2", "<i8", "<u8", "<f2", "<f4", ">f8", "<f16", "<c8", "|O"),
    *(
        "|S0",
        "|S5",
        "<U0",
        "<U7",
        "<U999999999",
        "|S2147483647",
        "|V0",
        "|V1",
        "<M8[s]",
        "<m8[25s]",
    ),
    *(
        "<M8[999999999999s]",
        "(3,)<f4",
        "4u1",
        "",
        "x",
        "\\x00",
        "<f3",
        "|u1, <f4",
        "=f4",
        "|",
        "O8",
    ),
)
_DESCRIPTIONS = (
    *("[('a', '<f4')]", "[('a', '<f4'), ('a', '<f4')]", "[('', 'O')]", "('<f4', (2, 2))", "None"),
    *("[('a', [('b', '|u1', (2**9,))])]", "{'names': ['a'], 'formats': ['O']}", "1", "[[]]", "[]"),
    *("('<f4',)", "('|V8', 'O')", "('<f4', -1)", "('|u1', (99999, 99999))", "[('a', '|u1', -5)]"),
)
_SHAPES = (
    *("()", "(0,)", "(1,)", "(0, 0, 0)", "(-1,)", "(2, -2)", "(1.5,)", "(True, False)", "None"),
    *(
        "(None,)",
        "'3'",
        "3",
        "[3]",
        "((3,),)",
        "(3, 2, 2, 1, 1, 1)",
        "(1,) * 40",
        "(1" + ",1" * 70 + ")",
    ),
    *("(9223372036854775807,)", "(9223372036854775808,)", "(4294967296, 4294967296)", "(10**9,)"),
    *(
        "(1000000000, 28, 28)",
        "(1000000000000,)",
        "(99999999999999999999999,)",
        "(0, 4294967296, 9)",
    ),
)


def change_npy(chance: Random, data: bytes) -> bytes:
    """An array whose header says something else."""
    length = struct.unpack("<H", data[8:10])[0]
    header, content = data[10 : 10 + length].decode("latin1"), data[10 + length :]
    match chance.randrange(6):
        case 0:
            kind = f"'{chance.choice(_TYPES)}'"
            description = chance.choice((kind, kind, chance.choice(_DESCRIPTIONS)))
            header = header.replace(
                header.split("'descr': ")[1].split(", 'fortran")[0], description
            )
        case 1:
            shape = header.split("'shape': ")[1].rsplit(", }", 1)[0]
            header = header.replace(shape, chance.choice(_SHAPES))
        case 2:
            header = header.replace("False", chance.choice(("True", "1", "None", "'x'", "not 1")))
        case 3:
            nested = ("(" * 300, "[" * 5000, "-" * 5000, "{" * 100, "\0", "1L", "\x80", "9" * 5000)
            place = chance.randrange(len(header))
            header = header[:place] + chance.choice(nested) + header[place:]
        case 4:
            header = change_bytes(chance, header.encode("latin1")).decode("latin1")
        case 5:
            content = content[: chance.randrange(len(content) + 1)] * chance.choice((1, 2))
    text = header.encode("latin1", "replace")
    version = chance.choice((1, 1, 1, 2, 3, 0, 255))
    length = len(text) if chance.random() < 0.95 else chance.choice(EDGES)
    packed = struct.pack("<H", length % (1 << 16))
    if version in (2, 3):
        packed = struct.pack("<I", length % (1 << 32))
    return b"\x93NUMPY" + bytes([version, 0]) + packed + text + content


def change_idx(chance: Random, data: bytes) -> bytes:
    """IDX with other sizes, types or axes."""
    if chance.random() < 0.4:
        return change_bytes(chance, data)
    axes = chance.choice((1, 2, 3, 3, 3, 4, 4, 255))
    sides = [chance.choice((*EDGES, 28, 3)) % (1 << 32) for _ in range(min(axes, 5))]
    if chance.random() < 0.5:
        sides[1:] = [chance.choice((0, 1, 4, 28)) for _ in sides[1:]]
    head = bytes([0, 0, chance.choice((8, 8, 8, 9, 11, 13, 14, 0)), axes])
    return head + struct.pack(f">{len(sides)}I", *sides) + data[16:]
