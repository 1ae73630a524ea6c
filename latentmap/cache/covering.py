"""Covering: codes of some images out of an entry that holds them and more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from latentmap.codes import Codes, pack_ids


def locate(codes: Codes, ids: np.ndarray, digests: np.ndarray) -> np.ndarray | None:
    """The rows of the images with these ids ``(n,)`` and digests ``(n, 16)``.

    None when an image is missing or has another content under its id.
    """
    if len(ids) > len(codes):
        return None
    index = np.arange(len(ids))
    # The first images of a source, as --limit takes them, need no search.
    if not np.array_equal(codes.ids[: len(ids)], ids):
        have, wanted = pack_ids(codes.ids), pack_ids(ids)
        order = np.argsort(have, kind="stable")
        places = np.searchsorted(have, wanted, sorter=order)
        index = order[np.minimum(places, len(order) - 1)]
        if not np.array_equal(have[index], wanted):
            return None
    return index if np.array_equal(codes.digests[index], digests) else None


def select(codes: Codes, index: np.ndarray, *, data: str) -> Codes:
    """The codes at ``index``, still on disk, as codes of the images with fingerprint ``data``."""
    return replace(codes.take(index), data=data, skipped=())
