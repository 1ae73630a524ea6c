"""What workers do for `latentmap fit`, `evaluate` and `compare`: encode what is missing, and sum
codes part by part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.options import PRECISIONS, CoderOptions, Loading, refuse_given
from latentmap.cli.output import command_line, warn, warn_skipped
from latentmap.cli.progress import progress_bar
from latentmap.cli.sharding import ShardSetup, loaded_models
from latentmap.cli.workers import Workers
from latentmap.errors import CacheError, ImageError, MapError

if TYPE_CHECKING:
    import numpy as np

    from latentmap.cache.manifest import Manifest
    from latentmap.engines import Work
    from latentmap.images import ImageParts, Split
    from latentmap.images.part_splits import PartSplits
    from latentmap.images.parts import Counts
    from latentmap.model import Model
    from latentmap.relocation.part_moments import PartMoments
    from latentmap.relocation.part_task import PartTask

SHARED = (
    "Have so many workers encode what the cache lacks, and sum the codes part by part: for more "
    "images than a machine holds. Nothing is decoded then."
)
# What asks for single images, or for all of them at once; nothing of it is done part by part.
_OF_IMAGES = (
    "limit unseen row_ids by_position n_samples sample_from label truncation box_name support "
    "n_pairs kinds with_ceiling probe labels by figure figures figure_format width dpi report "
    "methods scored compared permutations alpha"
).split()


def check_parts(context: click.Context, data: DataOptions, workers: Workers, device: str) -> None:
    """Refuses what workers do not do.

    Raises:
        click.UsageError: so it is.
    """
    workers.check_device(device)
    there = {parameter.name for parameter in context.command.params}
    refuse_given(context, [name for name in _OF_IMAGES if name in there], "with --workers")
    if data.path is None:
        raise click.UsageError("workers share the images of a data set: give --data")


def fitted_split(data: DataOptions) -> Split:
    """The split that maps are fitted on.

    Raises:
        click.UsageError: it is ``test``.
    """
    from latentmap.relocation.pairing import require_fitted_split

    try:
        require_fitted_split(data.fitted_split)
    except MapError as error:
        raise click.UsageError(str(error)) from error
    return data.fitted_split


@dataclass(frozen=True)
class PartSetup:
    """What a worker needs to sum parts: the ``task``, and the images, where these say which is of
    which split. Images with a content of ``without`` are left out.
    """

    task: PartTask
    cache: Path
    data: DataOptions | None
    counts: Counts | None
    folder: str
    threads: int
    without: np.ndarray | None = None

    def __call__(self, worker: int) -> Work:
        """Opens what is read, and gives what makes one part."""
        import torch

        from latentmap.cache import LatentCache
        from latentmap.images.part_splits import known_splits
        from latentmap.relocation.part_work import PartWork

        os.chdir(self.folder)
        torch.set_num_threads(self.threads)
        known = () if self.counts is None else [self.counts]
        splits_of = None
        if self.data is not None:
            splits_of = known_splits(self.data.parts(known), self.task.split_rule).of
        return PartWork(self.task, LatentCache(self.cache), splits_of, self.without)


class PartRun:
    """One call of a command whose work is shared by workers."""

    def __init__(
        self,
        references: Sequence[str],
        data: DataOptions,
        coding: CoderOptions,
        loading: Loading,
        workers: Workers,
        *,
        recorded: Any = None,
    ) -> None:
        from latentmap.cache import LatentCache

        workers.check()
        workers.require()
        self._references = tuple(references)
        # Which split is meant, is for what is summed.
        self._data = replace(data, split=None)
        self._precision: Any = coding.precision or recorded or PRECISIONS[0]
        self._coding = replace(coding, precision=self._precision)
        self._loading, self._workers = loading, workers
        self.cache = LatentCache(coding.cache, notify=warn)

    def open(self) -> tuple[list[Model], ImageParts]:
        """The models, for what is known of them, and the images."""
        loading = replace(self._loading, device="cpu")
        models = loaded_models(self._references, self._data, loading)
        with progress_bar("counting images", "files") as progress:
            return models, self._data.parts((), progress)

    def entries(self, models: Sequence[Model], images: ImageParts) -> list[Manifest]:
        """What the cache has of the images for each model; what it lacks is encoded first.

        Raises:
            ImageError: an image could not be read, and is not to be skipped, or none could.
            LatentmapError: as encoding raises it.
        """
        found = self._found(models, images)
        made = self._encode(models, images, [one is None for one in found])
        entries = [one or made[model.fingerprint] for one, model in zip(found, models, strict=True)]
        for entry, model in zip(entries, models, strict=True):
            if not entry.rows:
                raise ImageError(
                    f"none of the {len(images):,} images could be read for {model.name}: "
                    f"{entry.skipped[0].message}"
                )
            if entry.skipped and self._data.on_error == "stop":
                name = entry.key.id
                raise ImageError(
                    f"{entry.skipped[0].id} and {len(entry.skipped) - 1} more could not be read "
                    f"when these images were encoded: `latentmap cache rm {name} --cache "
                    f"{self.cache.path}` and encode them again, or go on without them (--on-error "
                    "skip)"
                )
        warn_skipped(list(dict.fromkeys(skip.id for one in entries for skip in one.skipped)))
        return entries

    @contextmanager
    def moments(
        self, task: PartTask, images: ImageParts, *, without: np.ndarray | None = None
    ) -> Iterator[PartMoments]:
        """The moments of all parts of a task, made by the workers where they are not there, and
        removed at the end of the block, unless it raises. Another command that asks for the same
        waits for it.
        """
        from latentmap.files import hold_lock, refuse_links
        from latentmap.images.parts import counts_in
        from latentmap.images.splits import HASH_RULE
        from latentmap.relocation.part_moments import gather_parts

        setup = PartSetup(
            task,
            self._coding.cache,
            None if task.split_rule == HASH_RULE else self._data,
            counts_in(images),
            _here(),
            self._workers.threads,
            without,
        )
        locks = self.cache.path / "locks"
        refuse_links(locks, error=CacheError)
        locks.mkdir(0o700, exist_ok=True)
        with hold_lock(locks / f"sums-{task.id}.lock", "these sums", timeout=None, notify=warn):
            with progress_bar("summing", "parts") as progress:
                moments = gather_parts(
                    task, self.cache, lambda numbers: self._workers.run(setup, numbers), progress
                )
            yield moments
            moments.remove()

    def _found(self, models: Sequence[Model], images: ImageParts) -> list[Manifest | None]:
        from latentmap.cache.planned_entries import planned_entries

        return planned_entries(models, images, self.cache, precision=self._precision)

    def _encode(
        self, models: Sequence[Model], images: ImageParts, missing: Sequence[bool]
    ) -> dict[str, Manifest]:
        """Has the codes made that are ``missing``, and gives the entries by their models."""
        from latentmap.cache.planning import plan_shards
        from latentmap.cache.shard_driver import carry_out, start_plan
        from latentmap.images.parts import counts_in

        # Each model once, whatever it is asked for as.
        numbers = {
            model.fingerprint: number for number, model in enumerate(models) if missing[number]
        }
        if not numbers:
            return {}
        with progress_bar("planning") as progress:
            plan = plan_shards(
                [models[number] for number in numbers.values()],
                images,
                batch_size=self._coding.batch_size,
                precision=self._precision,
                progress=progress,
            )
        start_plan(plan, self.cache, counts_in(images))
        setup = ShardSetup(
            plan.id,
            self._references,
            self._data,
            self._coding,
            self._loading,
            _here(),
            self._workers.threads,
            tuple(numbers.values()),
        )
        gpus = self._loading.device.startswith("cuda")
        with progress_bar("encoding") as progress:
            carry_out(
                plan,
                self.cache,
                lambda numbers: self._workers.run(setup, numbers, gpus=gpus),
                progress=progress,
                notify=warn,
            )
        made = (self.cache.entries.manifest(entry.key.id) for entry in plan.entries)
        return {one.key.model: one for one in made if one is not None}


def made_of(data: DataOptions, images: ImageParts, splits: PartSplits) -> dict[str, Any]:
    """What made a result, as its record says it."""
    from latentmap.mapping.map_checks import KNOWN_BY

    return {
        "command": command_line(),
        "group_by": data.group_by and data.group_by.name,
        "choice": images.choice.to_json(),
        "split_rule": splits.rule,
        KNOWN_BY: images.part(0, 1).known_by,
    }


def _here() -> str:
    return os.getcwd()  # noqa: PTH109  # a text, for workers of any system
