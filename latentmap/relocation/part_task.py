"""PartTask: what is summed of the codes of a data set, and how it is cut into parts.

A part is a run of images, fixed by what is in the cache, and its sums are one small file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from latentmap.cache import LatentCache
from latentmap.cache.manifest import Manifest
from latentmap.cache.sums import Sums
from latentmap.images import Split
from latentmap.mapping.moment_sums import require_room
from latentmap.mapping.options import MomentPrecision
from latentmap.mapping.patches import Patches
from latentmap.mapping.typicality import JUDGED

_PARTS = 128  # At most: so many workers can share the work, and so many files lie on the disk.
_BYTES = 4 << 30  # Of all these files, where parts are large.
_FEWEST = 8  # Parts, of which an interval can be told.


@dataclass(frozen=True)
class PartTask:
    """What is summed: the codes of ``entries`` of a cache, of the same ``images`` images, for each
    of some ``splits``, those of the first by ``folds``. Of a map between two grids it is patches of
    this ``patch``; else all products of all spaces.
    """

    entries: tuple[str, ...]
    shards: str
    images: int
    splits: tuple[Split, ...]
    split_rule: str
    folds: int = 1
    patch: int | None = None
    precision: MomentPrecision = "exact"
    norms: bool = False
    without: str = ""
    part_images: int = 1

    @property
    def id(self) -> str:
        """16 hex digits of what it is."""
        document = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()[:16]

    @property
    def stride(self) -> int:
        """Of so many images one is kept of those that stand for all."""
        return max(self.images // JUDGED, 1)

    def __len__(self) -> int:
        return -(-self.images // self.part_images)

    def range(self, number: int) -> tuple[int, int]:
        """The images of a part: the first, and the one after the last."""
        start = number * self.part_images
        return start, min(start + self.part_images, self.images)


def part_task(
    manifests: Sequence[Manifest],
    *,
    splits: Sequence[Split],
    split_rule: str,
    folds: int = 1,
    patches: Patches | None = None,
    precision: MomentPrecision = "exact",
    norms: bool = False,
    without: np.ndarray | None = None,
) -> PartTask:
    """The task of summing the codes in some entries of the same images, in some ``precision``; with
    ``norms`` also how their lengths vary together. Images with a content of ``without`` ``(k, 16)``
    are left out.

    Raises:
        MapError: the products of their variables take too much memory.
    """
    dims = [manifest.space.dim for manifest in manifests]
    width = patches.p + patches.q if patches else sum(dims)
    kinds = folds + len(splits) - 1
    if patches is None:
        require_room(dims, sums=kinds)
    images = manifests[0].images
    most = max(min(_PARTS, _BYTES // (8 * kinds * width**2)), _FEWEST)
    written = hashlib.sha256()
    for manifest in manifests:
        for record in manifest.shards:
            written.update(f"{record.start} {record.stop} {record.sha256}\n".encode())
    return PartTask(
        tuple(manifest.key.id for manifest in manifests),
        written.hexdigest(),
        images,
        tuple(splits),
        split_rule,
        folds,
        patches.size if patches else None,
        precision,
        norms,
        "" if without is None else hashlib.sha256(without.tobytes()).hexdigest(),
        -(-images // most),
    )


def part_files(task: PartTask, cache: LatentCache) -> Sums:
    """Where the sums of a task are."""
    return Sums(cache.path, task.id, len(task))
