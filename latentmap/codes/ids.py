"""Ids of images as files hold them."""

from __future__ import annotations

import hashlib

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


def digests_of_ids(ids: np.ndarray, mark: str = "") -> np.ndarray:
    """What stands for the contents of images of which only the ids are known, uint8 ``(n, 16)``;
    no content has the same. ``mark`` tells ids apart that are no names but positions.
    """
    head = hashlib.sha256(f"latentmap id {mark}\n".encode())
    parts = []
    for name in ids.tolist():
        digest = head.copy()
        digest.update(name.encode("utf-8", "surrogateescape"))
        parts.append(digest.digest()[:16])
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 16)
