"""Checkpoints of TensorFlow, written without it: a table of entries, and a file of numbers.

The checksums are computed bit by bit, so that those of the reader are checked by another way.
"""

import struct

import numpy as np

DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}
_MAGIC = bytes.fromhex("57fb808b247547db")


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries, *, share=True) -> bytes:
    """A block of a table, in which keys leave out what they share with the one before."""
    data, last = b"", b""
    for key, value in entries:
        shared = 0
        while share and shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        data += varint(shared) + varint(len(key) - shared) + varint(len(value))
        data += key[shared:] + value
        last = key
    return data + struct.pack("<II", 0, 1)


def table(entries, *, per_block=7, compression=0, magic=_MAGIC) -> bytes:
    data, places = b"", []

    def add(content):
        nonlocal data
        place = varint(len(data)) + varint(len(content))
        whole = content + bytes([compression])
        data += whole + masked(whole)
        return place

    for start in range(0, len(entries), per_block):
        piece = entries[start : start + per_block]
        places.append((piece[-1][0], add(block(piece))))
    handles = add(block([])) + add(block(places, share=False))
    return data + handles.ljust(40, b"\0") + magic


def entry(dtype: int, shape, offset: int, data: bytes) -> bytes:
    sides = b"".join(field(2, field(1, side)) for side in shape)
    message = field(1, dtype) + field(2, sides)
    message += field(4, offset) if offset else b""
    return message + field(5, len(data)) + varint(6 << 3 | 5) + masked(data)


def write_bundle(prefix, variables, *, graph=b"", header=b"", **options):
    """Writes the checkpoint of these arrays by key; ``graph`` describes their objects."""
    numbers, entries = b"", {}
    for key, values in variables.items():
        array = np.asarray(values)
        data = array.tobytes()
        entries[key] = entry(DTYPES[array.dtype.name], array.shape, len(numbers), data)
        numbers += data
    if graph:
        text = varint(len(graph)) + masked(struct.pack("<I", len(graph))) + graph
        entries["_CHECKPOINTABLE_OBJECT_GRAPH"] = entry(7, (), len(numbers), text)
        numbers += text
    rows = sorted((key.encode(), value) for key, value in entries.items())
    rows.insert(0, (b"", header or field(1, 1) + field(3, field(1, 1))))
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(rows, **options))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(numbers)


def object_graph(tree, names, keys) -> bytes:
    """The graph of nested dictionaries of objects; a leaf is the way to a variable, as in ``names``
    (the program's own) and ``keys`` (those in the checkpoint).
    """
    nodes: list[bytes] = []

    def add(value, way):
        place = len(nodes)
        nodes.append(b"")
        if isinstance(value, dict):
            children = [(name, add(child, (*way, name))) for name, child in value.items()]
            nodes[place] = b"".join(
                field(1, field(1, child) + field(2, name.encode())) for name, child in children
            )
        else:
            saved = field(1, b"VARIABLE_VALUE") + field(2, names[value].encode())
            nodes[place] = field(2, saved + field(3, keys[value].encode()))
        return place

    add(tree, ())
    return b"".join(field(1, node) for node in nodes)
