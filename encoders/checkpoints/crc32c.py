"""CRC-32C, by which TensorFlow's files tell damage, on numpy: many pieces at a time.

A CRC that starts at zero is linear over GF(2): that of two pieces in a row is that of the first,
shifted by the zeros that the second has in its place, plus that of the second.
"""

from __future__ import annotations

import numpy as np

_POLYNOMIAL = 0x82F63B78
_MOST_LANES = 14  # A power of two.
_BITS = np.arange(32, dtype=np.uint32)


def masked_crc32c(data: memoryview | bytes) -> int:
    """The masked CRC-32C of the data, as LevelDB and TensorFlow store it.

    Example:
        >>> hex(masked_crc32c(b"123456789"))  # The mask of 0xe3069283, the standard's check value.
        '0xc78ab0e5'
    """
    crc = _crc32c(np.frombuffer(data, np.uint8))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _byte_table() -> np.ndarray:
    table: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = table >> 1 ^ np.where(table & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return table


_TABLE = _byte_table()


def _crc32c(data: np.ndarray) -> int:
    lanes = 2 ** min(_MOST_LANES, len(data).bit_length() // 2)
    length = max(1, -(-len(data) // lanes))
    # Zeros in front leave a CRC that starts at zero as it is.
    padded = np.zeros(lanes * length, np.uint8)
    padded[len(padded) - len(data) :] = data
    crcs = np.zeros(lanes, np.uint32)
    for column in np.ascontiguousarray(padded.reshape(lanes, length).T):
        crcs = _TABLE[(crcs ^ column) & 0xFF] ^ crcs >> 8
    shift = _zeros(length)
    while len(crcs) > 1:
        crcs = _apply(shift, crcs[0::2]) ^ crcs[1::2]
        shift = _apply(shift, shift)
    # The real CRC starts with all bits set, and inverts the result.
    start = _apply(_zeros(len(data)), np.array([0xFFFFFFFF], np.uint32))
    return int(crcs[0] ^ start[0] ^ np.uint32(0xFFFFFFFF))


def _zeros(count: int) -> np.ndarray:
    """What ``count`` bytes of zeros make of a CRC: a matrix, given by what each bit becomes."""
    result: np.ndarray = np.uint32(1) << _BITS
    step: np.ndarray = _TABLE[result & 0xFF] ^ result >> 8
    while count:
        if count & 1:
            result = _apply(step, result)
        step = _apply(step, step)
        count >>= 1
    return result


def _apply(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    bits = (values[:, None] >> _BITS & 1).astype(bool)
    product: np.ndarray = np.bitwise_xor.reduce(np.where(bits, matrix, np.uint32(0)), axis=1)
    return product
