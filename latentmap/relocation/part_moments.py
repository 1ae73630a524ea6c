"""Part moments: what the codes of a data set come to, part by part, by whoever sums them.

A part is a run of images, fixed by what is in the cache, and its sums are one small file. Parts are
merged in their order, so that a result does not depend on who made which, or how often. Neither
ids nor codes of all images are ever in memory.

Shapes: ``K`` spaces; ``n`` images.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from latentmap.cache import LatentCache
from latentmap.cache.covering import Held
from latentmap.cache.entry_range import EntryRange
from latentmap.cache.manifest import Manifest
from latentmap.cache.shards import ShardContent
from latentmap.cache.sums import Sums
from latentmap.codes import Space
from latentmap.codes.ids import digests_of_ids
from latentmap.engines import Done, Engine
from latentmap.errors import CacheError, MapError, PairError
from latentmap.images import Split
from latentmap.images.splits import split_by_hash
from latentmap.mapping.moment_sums import MomentSums, require_room
from latentmap.mapping.moments import JointMoments, Moments
from latentmap.mapping.norm_moments import NormMoments
from latentmap.mapping.options import MomentPrecision
from latentmap.mapping.patch_sums import PatchSums
from latentmap.mapping.patches import Patches, patches_between
from latentmap.mapping.typicality import JUDGED
from latentmap.progress import Progress

_PARTS = 128  # At most: so many workers can share the work, and so many files lie on the disk.
_BYTES = 4 << 30  # Of all these files, where parts are large.
_FEWEST = 8  # Parts, of which an interval can be told.
_ROWS = 1 << 22  # Numbers of codes in memory at a time.
_DIGESTS = 1 << 20  # Images to fit on whose contents a map keeps, 16 bytes each.

Joint: TypeAlias = JointMoments | Moments
# Whose splits are not told by a hash of the id.
SplitsOf: TypeAlias = Callable[[int, int], np.ndarray]
_ROUNDS = 3  # A disk that damages what was just written does so again.


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
        sums: dict[str, _Sums] = {}
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
                    sums[name] = _Sums(self._spaces, task)
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


class PartMoments:
    """The moments of all parts of a task, read from their files when they are asked for."""

    def __init__(self, task: PartTask, cache: LatentCache) -> None:
        self.task = task
        self._files = part_files(task, cache)

    def all(self, split: Split) -> list[Joint]:
        """Those of the images of a split: by folds, if it is the first; all as one, else.

        Raises:
            PairError: there are no such images.
        """
        first = split == self.task.splits[0] and self.task.folds > 1
        names = [f"{split}-{fold}" for fold in range(self.task.folds)] if first else [split]
        merged = [reduce(_merge, self._of(name), None) for name in names]
        found = [one for one in merged if one is not None]
        if not found:
            raise PairError(
                f"no image of the split {split} has a code: give more images, or another --split"
            )
        return found

    def by_part(self, split: Split) -> Iterator[Joint]:
        """Those of the images of a split that is not cut into folds, part by part; parts without
        any are left out.
        """
        return self._of(split)

    def with_norms(self, split: Split) -> Iterator[tuple[JointMoments, NormMoments]]:
        """The same with how the lengths of codes vary together, of a task that has these."""
        for parts in self._tensors(split):
            yield JointMoments.from_tensors(parts), NormMoments.from_tensors(parts)

    @cached_property
    def sample(self) -> torch.Tensor:
        """Codes of the first space of the images to fit on, evenly spaced, ``(k, d)``."""
        return torch.cat([part["sample"] for part in self._files])

    @cached_property
    def digests(self) -> np.ndarray:
        """The contents of the images to fit on ``(n, 16)``; none where they are too many."""
        found: np.ndarray = torch.cat([part["digests"] for part in self._files]).numpy()
        return found

    @property
    def left_out(self) -> int:
        """How many images of the splits were left out."""
        return sum(int(part["left_out"]) for part in self._files)

    def remove(self) -> None:
        """Removes the files, when nothing more is asked for."""
        self._files.remove()

    def _of(self, name: str) -> Iterator[Joint]:
        for parts in self._tensors(name):
            joint = "dims" in parts
            yield JointMoments.from_tensors(parts) if joint else Moments.from_tensors(parts)

    def _tensors(self, name: str) -> Iterator[dict[str, torch.Tensor]]:
        prefix = f"{name}/"
        for tensors in self._files:
            parts = {
                key.removeprefix(prefix): value
                for key, value in tensors.items()
                if key.startswith(prefix)
            }
            if parts:
                yield parts


def gather_parts(
    task: PartTask, cache: LatentCache, engine: Engine, progress: Progress | None = None
) -> PartMoments:
    """Has all parts made that are missing, and gives the moments.

    ``engine`` is asked for the numbers of parts, and has ``PartWork`` make each.

    Raises:
        CacheError: the disk damages what is written.
        Exception: what the engine raised.
    """
    files = part_files(task, cache)
    missing = files.missing()
    for _ in range(_ROUNDS):
        if not missing:
            break
        done = len(task) - len(missing)
        if progress:
            progress(done, len(task))
        with closing(engine(missing)) as made:
            for _ in made:
                done += 1
                if progress:
                    progress(done, len(task))
        missing = files.missing()
    if missing:
        raise CacheError(
            f"{len(missing)} parts in {files.path} were damaged as soon as they were written: "
            "check the disk, and run the same command to go on"
        )
    return PartMoments(task, cache)


def here(work: PartWork) -> Engine:
    """The engine that makes all parts one after the other, in this process."""

    def run(numbers: Sequence[int]) -> Done:
        for number in numbers:
            work(number)
            yield number

    return run


def part_files(task: PartTask, cache: LatentCache) -> Sums:
    """Where the sums of a task are."""
    return Sums(Path(cache.path), task.id, len(task))


class _Sums:
    """The sums of the codes of some images."""

    def __init__(self, spaces: Sequence[Space], task: PartTask) -> None:
        self._spaces = spaces
        self._sums: MomentSums | PatchSums
        if task.patch is None:
            self._sums = MomentSums([space.dim for space in spaces], precision=task.precision)
        else:
            patches = patches_between(spaces[0], spaces[1], task.patch)
            assert patches is not None, "a patch of so many cells"
            self._sums = PatchSums(patches, precision=task.precision)
        # About the mean of the first codes, as the sums are.
        self._with_norms = task.norms
        self._norms: NormMoments | None = None
        self._shift = self._away = torch.zeros(0, dtype=torch.float64)

    def update(self, rows: Sequence[torch.Tensor], ids: np.ndarray) -> None:
        try:
            if isinstance(self._sums, PatchSums):
                self._sums.update(*rows)
            else:
                self._sums.update(rows)
                if self._with_norms:
                    self._add_norms(rows)
        except MapError as error:
            for space, part in zip(self._spaces, rows, strict=True):
                bad = (~torch.isfinite(part).all(1)).nonzero()
                if len(bad):
                    raise MapError(
                        f"every code must be finite, but the code of {ids[int(bad[0])]} in {space} "
                        "has NaN or infinite values: encode that image again, or leave it out"
                    ) from error
            raise

    def _add_norms(self, rows: Sequence[torch.Tensor]) -> None:
        joined = torch.cat([part.double() for part in rows], 1)
        if self._norms is None:
            self._shift = joined.mean(0)
            self._away = torch.zeros_like(self._shift)
        more = NormMoments.of(rows, self._shift)
        self._norms = more if self._norms is None else self._norms.add(more)
        self._away = self._away + (joined - self._shift).sum(0)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a file holds of them."""
        moments = self._sums.moments()
        if self._norms is None or not isinstance(moments, JointMoments):
            return moments.tensors()
        about_mean = self._norms.about(moments.mean, moments, self._away)
        return {**moments.tensors(), **about_mean.tensors()}


def _merge(one: Joint | None, other: Joint) -> Joint:
    if one is None:
        return other
    return one.merge(other)  # type: ignore[arg-type]  # All of a task are of one kind.


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
                "the entries of the two models are of other images: encode both again from the "
                "same data"
            )
    codes = [torch.from_numpy(part.codes[index]) for part, index in zip(parts, rows, strict=True)]
    return ids, digests, common, codes
