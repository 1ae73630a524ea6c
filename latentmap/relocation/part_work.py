"""PartWork: the sums of one part of a data set, by whoever it is, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch

from latentmap.cache import LatentCache
from latentmap.cache.covering import Held
from latentmap.cache.entry_range import EntryRange
from latentmap.cache.shards import ShardContent
from latentmap.codes.ids import digests_of_ids
from latentmap.errors import CacheError, PairError
from latentmap.images.splits import split_by_hash
from latentmap.relocation.part_sums import PartSums
from latentmap.relocation.part_task import PartTask, part_files

_ROWS = 1 << 22  # Numbers of codes in memory at a time.
_DIGESTS = 1 << 20  # Images to fit on whose contents a map keeps, 16 bytes each.

# Whose splits are not told by a hash of the id.
SplitsOf: TypeAlias = Callable[[int, int], np.ndarray]


class PartWork:
    """What makes the parts of a task, by a worker; ``splits_of`` gives the splits of the images
    between two positions, by default from their ids. Images with a content of ``without`` ``(k,
    16)``, or with an id that stands for one, are left out.
    """

    def __init__(
        self,
        task: PartTask,
        cache: LatentCache,
        splits_of: SplitsOf | None = None,
        without: np.ndarray | None = None,
    ) -> None:
        self._task, self._splits_of = task, splits_of
        self._without = None if without is None else Held([without])
        self._files = part_files(task, cache)
        self._ranges = []
        for name in task.entries:
            manifest = cache.entries.manifest(name)
            if manifest is None or not manifest.complete:
                raise CacheError(f"entry {name} of {cache.path} was removed: encode again")
            self._ranges.append(EntryRange(cache, manifest))
        self._spaces = [one.manifest.space for one in self._ranges]

    def __call__(self, number: int) -> None:
        """Sums part ``number``, unless it is there.

        Raises:
            CacheError: an entry is damaged, or the disk is full or broken.
            MapError: a code is not finite.
        """
        if self._files.has(number):
            return
        task = self._task
        sums: dict[str, PartSums] = {}
        kept: list[np.ndarray] = []
        sample: list[torch.Tensor] = []
        left_out = 0
        step = max(_ROWS // sum(space.dim for space in self._spaces), 1)
        start, stop = task.range(number)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            ids, digests, positions, codes = _joined(
                [one.read(first, last) for one in self._ranges]
            )
            splits = (
                split_by_hash(ids)
                if self._splits_of is None
                else self._splits_of(first, last)[positions - first]
            )
            if self._without is not None:
                splits, seen = self._unseen(splits, ids, digests)
                left_out += seen
            for name, rows in self._kinds(splits, digests):
                if name not in sums:
                    sums[name] = PartSums(self._spaces, task)
                sums[name].update([part[rows] for part in codes], ids[rows])
            fitted = np.flatnonzero(splits == task.splits[0])
            kept.append(digests[fitted] if task.images <= _DIGESTS else digests[:0])
            spaced = fitted[positions[fitted] % task.stride == 0]
            sample.append(codes[0][spaced])
        tensors = {
            f"{name}/{part}": tensor
            for name, one in sums.items()
            for part, tensor in one.tensors().items()
        }
        tensors["digests"] = torch.from_numpy(np.concatenate(kept))
        tensors["sample"] = torch.cat(sample)
        tensors["left_out"] = torch.tensor([left_out])
        self._files.write(number, tensors)

    def _unseen(
        self, splits: np.ndarray, ids: np.ndarray, digests: np.ndarray
    ) -> tuple[np.ndarray, int]:
        """The splits, with none for images that are left out, and how many these are of those that
        are summed.
        """
        assert self._without is not None, "asked before"
        seen = self._without.has(digests) | self._without.has(digests_of_ids(ids))
        of_splits = np.isin(splits, self._task.splits)
        return np.where(seen, "", splits), int((seen & of_splits).sum())

    def _kinds(self, splits: np.ndarray, digests: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """The names of what images are summed for, and which images these are."""
        task = self._task
        # By their contents, so that copies are in one fold.
        folds = digests[:, 8:].astype(np.int64).sum(1) % task.folds
        for split in task.splits:
            of_split = splits == split
            if split != task.splits[0] or task.folds == 1:
                if of_split.any():
                    yield split, np.flatnonzero(of_split)
                continue
            for fold in range(task.folds):
                rows = np.flatnonzero(of_split & (folds == fold))
                if len(rows):
                    yield f"{split}-{fold}", rows


def _joined(
    parts: Sequence[ShardContent],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[torch.Tensor]]:
    """Ids, digests, positions and codes of the images that all entries have.

    Raises:
        PairError: entries disagree on what stands at a position.
    """
    common = parts[0].positions
    for part in parts[1:]:
        common = np.intersect1d(common, part.positions, assume_unique=True)
    rows = [np.searchsorted(part.positions, common) for part in parts]
    ids, digests = parts[0].ids[rows[0]], parts[0].digests[rows[0]]
    for part, index in zip(parts[1:], rows[1:], strict=True):
        if not np.array_equal(part.digests[index], digests):
            raise PairError(
                "the entries of these models hold codes of other images at the same place: remove "
                "them (latentmap cache rm), and give the command again"
            )
    codes = [torch.from_numpy(part.codes[index]) for part, index in zip(parts, rows, strict=True)]
    return ids, digests, common, codes
