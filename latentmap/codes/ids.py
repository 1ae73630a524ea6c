"""Ids of images as files hold them."""

from __future__ import annotations

import numpy as np


def pack_ids(ids: np.ndarray) -> np.ndarray:
    """Ids as fixed-length UTF-8."""
    try:
        packed = ids.astype(np.bytes_)
    except UnicodeEncodeError:
        packed = np.char.encode(ids, "utf-8", "surrogateescape")
    return packed if packed.dtype.itemsize else packed.astype("S1")


def unpack_ids(packed: np.ndarray) -> np.ndarray:
    """Ids as text."""
    try:
        return packed.astype(np.str_)
    except UnicodeDecodeError:
        return np.char.decode(packed, "utf-8", "surrogateescape")
