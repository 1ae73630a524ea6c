"""Changes of archives: what zip directories and tar headers say, around members that are as they
were; checksums are right in most cases.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from random import Random

from tests.fuzz.byte_changes import (
    EDGES,
    bomb_size,
    change_bytes,
    deflated_zeros,
    gzip_zeros,
)
from tests.fuzz.readers import Change

_NAMES = (
    *(b"", b"/", b".", b"..", b"../../x.png", b"/etc/passwd", b"C:\\x.png", b"a\\b.png", b"a/"),
    *(b"a\0b.png", b"\xff\xfe.png", b"\xed\xa0\x80.png", "\u202e.png".encode(), b"\x1b[2J.png"),
    *(b"9" * 20 + b".png", b"9" * 5000 + b".png", "\u00b2.png".encode(), "\u0663.png".encode()),
    *(b"x" * 65_000 + b".png", b"a/" * 5000 + b"x.png", b"list_eval_partition.txt", b".png"),
    *(b"\n.png", b"__MACOSX/x.png", b"images.npy", b"archive/data.pkl", b"config.json"),
)


@dataclass(frozen=True)
class _Member:
    """What a zip archive says of a member, twice: before it and in its directory."""

    name: bytes
    data: bytes
    crc: int
    size: int
    method: int = 0
    flags: int = 0
    extra: bytes = b""
    version: int = 20
    date: int = 0x21
    lies: dict[str, int] = field(default_factory=dict)

    def packed(self) -> bytes:
        return struct.pack(
            "<HHHHHIIIHH",
            self.version,
            self.flags,
            self.method,
            0,
            self.date,
            self.crc,
            self.lies.get("compressed", len(self.data)) & 0xFFFFFFFF,
            self.size & 0xFFFFFFFF,
            len(self.name) & 0xFFFF,
            len(self.extra) & 0xFFFF,
        )


def change_zip(change: Change) -> Change:
    """Changes of a zip archive, whose members ``change`` changes at times."""

    def changed(chance: Random, data: bytes) -> bytes:
        members = []
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for one in archive.infolist():
                content = archive.read(one)
                members.append(_Member(one.filename.encode(), content, zlib.crc32(content), 0))
        for number, member in enumerate(members):
            content = member.data
            if chance.random() < 0.5 / len(members):
                content = change(chance, content)
            members[number] = _deflated(member, content, deflate=chance.random() < 0.3)
        if chance.random() < 0.8:
            for _ in range(1 << chance.randrange(3)):
                _change_members(chance, members)
        return _zipped(chance, members)

    return changed


def _deflated(member: _Member, content: bytes, *, deflate: bool) -> _Member:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = packer.compress(content) + packer.flush() if deflate else content
    return replace(
        member, data=data, crc=zlib.crc32(content), size=len(content), method=8 if deflate else 0
    )


def _change_members(chance: Random, members: list[_Member]) -> None:
    if not members:
        return
    place = chance.randrange(len(members))
    member = members[place]
    match chance.randrange(10):
        case 0 | 1:
            member = replace(member, name=chance.choice(_NAMES))
        case 2:
            member = replace(member, flags=chance.choice((1, 8, 0x20, 0x40, 0x800, 0x2000, 0xFFFF)))
        case 3:
            methods = (0, 1, 6, 8, 9, 12, 14, 93, 95, 97, 98, 99)
            member = replace(member, method=chance.choice(methods))
        case 4:
            member = replace(member, size=chance.choice(EDGES), crc=chance.choice((0, member.crc)))
        case 5:
            what = chance.choice(("compressed", "offset"))
            member = replace(member, lies={what: chance.choice(EDGES)})
        case 6:
            wide = struct.pack("<HHQQQ", 1, 24, *(chance.choice(EDGES) for _ in range(3)))
            named = struct.pack("<HHBI", 0x7075, 10, 1, 0) + b"a.png"
            extras = (wide, named, wide[:7], b"\1\0\xff\xff", b"\1\0\0\0" * 5000, bytes(3))
            member = replace(member, extra=chance.choice(extras))
            if chance.random() < 0.5:
                member = replace(member, size=0xFFFFFFFF, lies={"offset": 0xFFFFFFFF})
        case 7:
            members += [member] * chance.choice((1, 2, 1000))
        case 8:
            size = bomb_size(chance)
            packed, crc = deflated_zeros(size)
            member = replace(member, data=packed, crc=crc, size=size, method=8)
        case 9:
            member = replace(
                member, version=chance.choice((0, 45, 63, 255)), date=chance.choice((0, 0xFFFF))
            )
    members[place] = member


def _zipped(chance: Random, members: list[_Member]) -> bytes:
    written, directory = bytearray(), bytearray()
    for member in members:
        start = member.lies.get("offset", len(written)) & 0xFFFFFFFF
        written += b"PK\3\4" + member.packed() + member.name + member.extra + member.data
        directory += b"PK\1\2" + struct.pack("<H", 20) + member.packed()
        directory += struct.pack("<HHHII", 0, 0, 0, 0, start) + member.name + member.extra
    end = [0, 0, len(members) & 0xFFFF, len(members) & 0xFFFF, len(directory), len(written), 0]
    comment = b""
    if chance.random() < 0.1:
        place = chance.randrange(len(end))
        end[place] = chance.choice(EDGES) % (1 << (32 if place in (4, 5) else 16))
        comment = chance.choice((b"", b"x" * 100, b"PK\5\6" * 100))
    return bytes(written + directory) + b"PK\5\6" + struct.pack("<HHHHIIH", *end) + comment


def change_tar(chance: Random, data: bytes) -> bytes:
    """A tar archive whose headers say something else, packed or not."""
    blocks = []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for one in archive:
            file = archive.extractfile(one)
            blocks.append((one.name.encode(), b"" if file is None else file.read()))
    made = bytearray()
    for name, content in blocks:
        if chance.random() < 0.3 / len(blocks):
            content = change_bytes(chance, content)
        header = _tar_header(name, b"%011o\0" % len(content), b"0")
        if chance.random() < 0.6:
            header, before = _changed_header(chance, name, content)
            made += before
        made += header + content + bytes(-len(content) % 512)
    whole = bytes(made) + bytes(1024)
    if chance.random() < 0.1:
        whole = change_bytes(chance, whole)
    match chance.randrange(6):
        case 0:
            packed = gzip.compress(whole, 1, mtime=0)
        case 1:
            packed = bz2.compress(whole, 1)
        case 2:
            packed = lzma.compress(whole, preset=0)
        case _:
            return whole
    return change_bytes(chance, packed) if chance.random() < 0.3 else packed


def _changed_header(chance: Random, name: bytes, content: bytes) -> tuple[bytes, bytes]:
    """A header that is not as it should be, and what goes before it."""
    size, kind, before = b"%011o\0" % len(content), b"0", b""
    match chance.randrange(5):
        case 0:
            name = chance.choice(_NAMES)[:100]
        case 1:
            sizes = (
                b"77777777777\0",
                b"\x80" + bytes(3) + b"\xff" * 8,
                b"\xff" * 12,
                b"-0000000001\0",
            )
            size = chance.choice((*sizes, b"\x80" + b"\xff" * 11, b"99999999999\0", b"", b"0x10"))
        case 2:
            kind = bytes([chance.choice(b"01234567SxgLKVMND\0A")])
        case 3:
            keys = (b"size", b"path", b"GNU.sparse.major", b"GNU.sparse.map", b"GNU.sparse.size")
            key = chance.choice(
                (*keys, b"mtime", b"hdrcharset", b"GNU.sparse.realsize", b"charset")
            )
            value = chance.choice((b"-1", b"9" * 30, b"x", b"1,2,3", b"\xff", b"", b"1e9", *_NAMES))
            record = key + b"=" + value + b"\n"
            length = len(record) + len(str(len(record) + 4)) + 1
            said = b"%d" % chance.choice((length, length, length, 0, 3, 10**9))
            before = _tar_header(
                b"x", b"%011o\0" % (len(record) + len(said) + 1), chance.choice((b"x", b"g"))
            )
            text = said + b" " + record
            before += text + bytes(-len(text) % 512)
        case 4:
            text = chance.choice(_NAMES)
            before = _tar_header(b"x", b"%011o\0" % len(text), chance.choice((b"L", b"K")))
            before += text + bytes(-len(text) % 512)
    return _tar_header(name, size, kind), before


def _tar_header(name: bytes, size: bytes, kind: bytes) -> bytes:
    link = b"../../outside/secret.png"
    header = bytearray(name[:100].ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2)
    header += size[:12].ljust(12, b"\0") + b"00000000000\0" + b" " * 8 + kind
    header += link.ljust(100, b"\0") + b"ustar\00000" + bytes(247)
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def change_gzip(change: Change) -> Change:
    """Changes of what is compressed, which is compressed again, or of the compressed bytes."""

    def changed(chance: Random, data: bytes) -> bytes:
        if chance.random() < 0.3:
            return change_bytes(chance, data)
        content = change(chance, gzip.decompress(data))
        packed = gzip.compress(content, 1, mtime=0) * chance.choice((1, 1, 1, 2))
        return packed + gzip_zeros(bomb_size(chance)) if chance.random() < 0.05 else packed

    return changed
