"""Part moments: what the codes of a data set come to, part by part, by whoever sums them.

Parts are merged in their order, so that a result does not depend on who made which, or how often.
Neither ids nor codes of all images are ever in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property, reduce
from typing import TypeAlias

import numpy as np
import torch

from latentmap.cache import LatentCache
from latentmap.engines import Done, Engine
from latentmap.errors import CacheError, PairError
from latentmap.images import Split
from latentmap.mapping.moments import JointMoments, Moments
from latentmap.mapping.norm_moments import NormMoments
from latentmap.progress import Progress
from latentmap.relocation.part_task import PartTask, part_files
from latentmap.relocation.part_work import PartWork

_ROUNDS = 3  # A disk that damages what was just written does so again.

Joint: TypeAlias = JointMoments | Moments


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
        merged = [reduce(_merge, self.by_part(name), None) for name in names]
        found = [one for one in merged if one is not None]
        if not found:
            raise PairError(
                f"no image of the split {split} has a code: give more images, or another --split"
            )
        return found

    def by_part(self, name: str) -> Iterator[Joint]:
        """Those of the images of a split, or ``split-fold`` of one that is cut into folds, part by
        part; parts without any are left out.
        """
        for parts in self._tensors(name):
            joint = "dims" in parts
            yield JointMoments.from_tensors(parts) if joint else Moments.from_tensors(parts)

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


def _merge(one: Joint | None, other: Joint) -> Joint:
    if one is None:
        return other
    return one.merge(other)  # type: ignore[arg-type]  # All of a task are of one kind.
