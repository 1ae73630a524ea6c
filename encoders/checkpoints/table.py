"""Tables of sorted keys in LevelDB's format, as TensorFlow keeps the index of a checkpoint."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.crc32c import masked_crc32c
from latentmap.encoders.checkpoints.protobuf import read_varint
from latentmap.errors import CheckpointError
from latentmap.files.kinds import TABLE_MAGIC

_FOOTER = 48
_TRAILER = 5  # A byte for the compression, and a CRC.
_LONGEST_KEY = 2000


def read_table(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a table.

    Raises:
        CheckpointError: it is damaged, cut off or compressed, which TensorFlow's are not.
    """
    if data[-len(TABLE_MAGIC) :] != TABLE_MAGIC or len(data) < _FOOTER:
        raise CheckpointError(
            "it does not end as the index of a TensorFlow checkpoint does: it is cut off, or of "
            "another kind"
        )
    footer = data[-_FOOTER:]
    position = 0
    # First the place of a block that is not needed, then that of the blocks' own index.
    for _ in range(2):
        _, position = read_varint(footer, position)
    blocks = _block(data, footer, position)
    # Blocks may be named many times over: all of them together are no longer than the file.
    room = Budget(len(data), "more entries than its size allows")
    for _, place in _entries(blocks):
        block = _block(data, place, 0)
        room.spend(len(block))
        yield from _entries(block)


def _block(data: memoryview, place: memoryview, position: int) -> memoryview:
    """The contents of the block whose offset and length stand in ``place``."""
    offset, position = read_varint(place, position)
    length, _ = read_varint(place, position)
    whole = data[offset : offset + length + _TRAILER]
    if len(whole) != length + _TRAILER:
        raise CheckpointError("it is damaged or cut off: get it again")
    if whole[length]:
        raise CheckpointError("it is compressed, which TensorFlow's checkpoints are not")
    if masked_crc32c(whole[: length + 1]) != struct.unpack("<I", whole[length + 1 :])[0]:
        raise CheckpointError("it is damaged (a checksum is wrong): get it again")
    return whole[:length]


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The entries of a block: each key gives what it does not share with the one before."""
    if len(block) < 4:
        raise CheckpointError("it is damaged: a block in it is too short")
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    position, key = 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        own, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(key) or shared + own > _LONGEST_KEY or position + own + length > end:
            raise CheckpointError("it is damaged: an entry in it is longer than it can be")
        key = key[:shared] + bytes(block[position : position + own])
        position += own
        yield key, block[position : position + length]
        position += length
