"""The images that a model was trained on, remembered by their contents in a few bytes each.

A model file cannot hold its training images, nor their digests (16 bytes each). It holds a filter:
every image that is in it is found, and of those that are not, fewer than one in 10,000.

Shapes: ``n`` images, digests ``(n, 16)`` uint8, as ``ImageSource.digests``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ModelError

# Digests are uniform, so they need no hash functions. The first four bytes choose a bucket, of
# which there are as many as this many digests fill, the next two are kept: 16 bits a digest, and 8
# for each bucket's count. An unknown digest is taken for a known one where one of the about six of
# its bucket has the same two bytes: 6 / 65536 = 0.000092.
_PER_BUCKET = 6


@dataclass(frozen=True, eq=False)
class SeenImages:
    """A filter of digests: ``counts`` (b,) are the entries of each bucket, ``rests`` their two
    bytes, bucket by bucket, each bucket in order. 17.3 bits a digest.

    Example:
        >>> digests = np.random.default_rng(0).integers(0, 256, (4, 16), dtype=np.uint8)
        >>> SeenImages.of(digests[:2]).contains(digests).tolist()
        [True, True, False, False]
    """

    counts: np.ndarray
    rests: np.ndarray

    @classmethod
    def of(cls, digests: np.ndarray) -> SeenImages:
        """The filter of some images; what is not known (all zeros) is not in it."""
        known = digests[digests.any(axis=1)]
        buckets = max(1, -(-len(np.unique(known, axis=0)) // _PER_BUCKET))  # At most so full.
        keys = np.unique(_keys(known, buckets))
        counts = np.bincount(keys >> 16, minlength=buckets)
        return cls(counts.astype(np.uint8), (keys & 0xFFFF).astype(np.uint16))

    def __len__(self) -> int:
        """How many images were seen, about: of two that the filter cannot tell apart it has one."""
        return len(self.rests)

    def contains(self, digests: np.ndarray) -> np.ndarray:
        """Which of some images were seen, ``(n,)``; what is not known was not."""
        buckets = np.repeat(np.arange(len(self.counts)), self.counts)
        keys = buckets << 16 | self.rests.astype(np.int64)
        found = np.isin(_keys(digests, len(self.counts)), keys)
        return np.asarray(found & digests.any(axis=1))

    @property
    def fingerprint(self) -> str:
        """The sha256 of the filter."""
        return hashlib.sha256(self.counts.tobytes() + self.rests.tobytes()).hexdigest()

    def to_tensors(self) -> dict[str, Tensor]:
        """What a file keeps of it."""
        return {
            "counts": torch.from_numpy(self.counts.copy()),
            "rests": torch.from_numpy(self.rests.view(np.int16).copy()),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], fingerprint: str) -> SeenImages:
        """The filter that ``to_tensors`` gave.

        Raises:
            ModelError: it is another, or none.
        """
        counts, rests = (tensors.get(name, torch.zeros(())).numpy() for name in ("counts", "rests"))
        # A file of a stranger may say anything.
        if (
            counts.dtype == np.uint8
            and rests.dtype == np.int16
            and (counts.ndim, rests.ndim) == (1, 1)
            and len(counts)
            and counts.sum(dtype=np.int64) == len(rests)
        ):
            made = cls(counts, rests.view(np.uint16))
            if made.fingerprint == fingerprint:
                return made
        raise ModelError(
            "what it remembers of its training images is not what was saved: the file is damaged, "
            "get it again"
        )


def _keys(digests: np.ndarray, buckets: int) -> np.ndarray:
    """Bucket and rest of each digest as one number, int64 ``(n,)``."""
    wide = digests.astype(np.int64)
    first = wide[:, 0] << 24 | wide[:, 1] << 16 | wide[:, 2] << 8 | wide[:, 3]
    return (first * buckets >> 32) << 16 | wide[:, 4] << 8 | wide[:, 5]
