"""Changes of pictures: the segments of JPEG and PNG, with checksums that fit; the sizes in any."""

from __future__ import annotations

import struct
import zlib
from random import Random

from tests.fuzz.byte_changes import EDGES, bomb_size, change_bytes, zlib_zeros


def change_picture(chance: Random, data: bytes) -> bytes:
    """A picture in which something is not as it should be."""
    if chance.random() < 0.4:
        return change_bytes(chance, data)
    if data.startswith(b"\x89PNG"):
        return _change_png(chance, data)
    if data.startswith(b"\xff\xd8"):
        return _change_jpeg(chance, data)
    return _change_sizes(chance, data)


def _change_sizes(chance: Random, data: bytes) -> bytes:
    """Numbers in the head of a file, in which the sizes stand, as numbers of their width."""
    changed = bytearray(data)
    for _ in range(1 << chance.randrange(3)):
        width = chance.choice((1, 2, 2, 4, 4))
        place = chance.randrange(max(min(len(data), 200) - width, 1))
        number = chance.choice((*EDGES, chance.randrange(1 << 16))) % (1 << 8 * width)
        changed[place : place + width] = number.to_bytes(width, chance.choice(("little", "big")))
    return bytes(changed)


def _change_png(chance: Random, data: bytes) -> bytes:
    chunks, place = [], 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    for _ in range(1 << chance.randrange(3)):
        number = chance.randrange(len(chunks))
        kind, content = chunks[number]
        match chance.randrange(7):
            case 0:
                sides = [chance.choice((*EDGES, 1, 5000)) % (1 << 32) for _ in range(2)]
                rest = [chance.choice((1, 2, 4, 8, 16, 3)), chance.choice((0, 2, 3, 4, 6, 5))]
                chunks[0] = (
                    b"IHDR",
                    struct.pack(">II5B", *sides, *rest, 0, 0, chance.choice((0, 1, 2))),
                )
            case 1:
                chunks[number] = (kind, change_bytes(chance, content))
            case 2:
                del chunks[number]
                if not chunks:
                    return data
            case 3:
                chunks[number:number] = [chunks[number]] * chance.choice((1, 2, 300))
            case 4:
                kinds = (
                    b"tRNS",
                    b"PLTE",
                    b"iCCP",
                    b"sBIT",
                    b"eXIf",
                    b"acTL",
                    b"fcTL",
                    b"fdAT",
                    b"zTXt",
                )
                text = chance.choice(
                    (b"", b"\0" * 26, b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"x\0\0" + b"\xff" * 99)
                )
                chunks.insert(number, (chance.choice((*kinds, b"tEXt", b"iTXt", b"gAMA")), text))
            case 5:
                bomb = zlib_zeros(bomb_size(chance))
                bombs = ((b"IDAT", bomb), (b"zTXt", b"x\0\0" + bomb), (b"iCCP", b"x\0\0" + bomb))
                chunks.insert(max(number, 1), chance.choice(bombs))
            case 6:
                chunks.insert(number, (change_bytes(chance, kind)[:4].ljust(4, b"a"), content))
    made = bytearray(data[:8])
    for kind, content in chunks:
        crc = zlib.crc32(kind + content)
        made += len(content).to_bytes(4, "big") + kind + content + crc.to_bytes(4, "big")
    return bytes(made)


def _change_jpeg(chance: Random, data: bytes) -> bytes:
    segments, place = [], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        segments.append((data[place + 1], data[place + 4 : place + 2 + length]))
        place += 2 + length
    tail = data[place:]
    for _ in range(1 << chance.randrange(3)):
        number = chance.randrange(len(segments)) if segments else 0
        match chance.randrange(5):
            case 0:
                texts = (b"", b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0")
                xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><a tiff:Orientation='6'/>"
                text = chance.choice(
                    (*texts, xmp, b"MPF\0II*\0\x08\0\0\0\xff\xff", b"Adobe\0\x64\0\0\0\0\2")
                )
                kind = chance.choice((0xE1, 0xE1, 0xE2, 0xEE, 0xFE, 0xED))
                segments[number:number] = [(kind, text)] * chance.choice((1, 1, 2, 2000))
            case 1 if segments:
                kind, text = segments[number]
                segments[number] = (
                    chance.choice((kind, 0xC0, 0xC2, 0xC9, 0xDD, 0xC4)),
                    change_bytes(chance, text),
                )
            case 2 if segments:
                segments[number:number] = [segments[number]] * chance.choice((1, 50))
            case 3 if segments:
                del segments[number]
            case 4:
                sides = [chance.choice((0, 1, 8, 5000, 65535)) for _ in range(2)]
                n = chance.choice((0, 1, 2, 3, 4, 255))
                parts = b"".join(
                    bytes([i, chance.choice((0x11, 0x22, 0x41, 0)), 0]) for i in range(n)
                )
                frame = struct.pack(">BHHB", chance.choice((8, 8, 12)), *sides, n) + parts
                segments.insert(number, (chance.choice((0xC0, 0xC1, 0xC2)), frame))
    if chance.random() < 0.3:
        tail = change_bytes(chance, tail)
    made = bytearray(b"\xff\xd8")
    for kind, text in segments:
        made += bytes([0xFF, kind]) + (len(text[:65533]) + 2).to_bytes(2, "big") + text[:65533]
    return bytes(made) + tail
