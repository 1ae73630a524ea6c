"""Encoding by shards: the options, and what the workers are given."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import WORKERS, number_option, option, together
from latentmap.cli.kinds import Text
from latentmap.cli.options import CoderOptions, Loading
from latentmap.cli.workers import Workers, worker_choices
from latentmap.errors import CacheError

if TYPE_CHECKING:
    from latentmap.cache import LatentCache
    from latentmap.cache.plan import Plan
    from latentmap.engines import Work
    from latentmap.images.parts import Counts
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Place:
    """The place of a worker among ``count``, from 0 on; ``local`` is that on its own machine."""

    number: int
    count: int
    local: int | None = None

    def share(self, shards: int) -> range:
        """Its part of some shards, in a row."""
        return range(self.number * shards // self.count, (self.number + 1) * shards // self.count)


class ShardPlace(Text):
    """``i/N``, or ``auto``: by the variables of Slurm and torchrun."""

    name = "place"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Place | None:
        text: str = super().convert(value, param, ctx)
        if ctx is not None and ctx.resilient_parsing:
            return None
        if text == "auto":
            try:
                return place_of(os.environ)
            except ValueError as error:
                self.fail(str(error), param, ctx)
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if found is None or not int(found[1]) < int(found[2]):
            self.fail(
                f"{text!r} is no place among workers: give i/N with i from 0 to N-1, such as 0/40, "
                "or auto",
                param,
                ctx,
            )
        return Place(int(found[1]), int(found[2]))


def place_of(environment: Mapping[str, str]) -> Place:
    """The place of this worker, by what started it: a task of a Slurm array, one of several tasks
    of a Slurm step or of torchrun, or both at once.

    Raises:
        ValueError: none did, or a variable is no number.
    """

    def read(name: str, default: int = 0) -> int:
        try:
            return int(environment.get(name, default))
        except ValueError:
            raise ValueError(f"{name} is {environment[name]!r}, and should be a number") from None

    number, count, local, known = 0, 1, None, False
    if "SLURM_ARRAY_TASK_ID" in environment:
        first, step = read("SLURM_ARRAY_TASK_MIN"), max(read("SLURM_ARRAY_TASK_STEP", 1), 1)
        number = (read("SLURM_ARRAY_TASK_ID") - first) // step
        count = read("SLURM_ARRAY_TASK_COUNT")
        last = read("SLURM_ARRAY_TASK_MAX", -1)
        if last >= 0 and count != (last - first) // step + 1:
            raise ValueError(
                "the tasks of this Slurm array are no unbroken range, so that none knows its part: "
                "give --shard I/N as the first array had it, such as $SLURM_ARRAY_TASK_ID/40"
            )
        known = True
    for rank, size, near in (
        ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    ):
        if rank in environment and size in environment:
            number, count = number * read(size) + read(rank), count * read(size)
            local = read(near) if near in environment else None
            known = True
            break
    if not known:
        raise ValueError(
            "auto is for a Slurm array or torchrun, and neither SLURM_ARRAY_TASK_ID nor RANK is "
            "set: give i/N"
        )
    if not 0 <= number < count:
        raise ValueError(
            f"the variables of Slurm or torchrun make this worker {number} of {count}: give i/N"
        )
    return Place(number, count, local)


@dataclass(frozen=True)
class Sharding(Workers):
    """How images are encoded by shards, as given on the command line."""

    plan: bool = False
    shard_images: int | None = None
    place: Place | None = None

    @property
    def asked(self) -> bool:
        """Whether anything is done by shards."""
        return self != Sharding()

    def check(self) -> None:
        """Refuses what does not go together.

        Raises:
            click.UsageError: that is so.
        """
        ways = {
            "--plan": self.plan,
            "--shard": self.place is not None,
            "--workers": self.workers is not None,
        }
        given = [name for name, said in ways.items() if said]
        if len(given) > 1:
            raise click.UsageError(
                f"{' and '.join(given)} do not go together: plan the shards, make some of them, or "
                "have all made by workers"
            )
        if self.asked and not given:
            raise click.UsageError(
                "say who makes the shards: --workers N, or --plan and then --shard i/N"
            )
        super().check()


def sharding_options(command: Command) -> Command:
    """Adds the options of shards; the command gets them as ``sharding: Sharding``."""
    return together(
        "sharding",
        Sharding,
        option(
            "--plan",
            title=WORKERS,
            is_flag=True,
            help="Fix the shards, which are runs of images, for workers to come, and encode "
            "nothing.",
        ),
        number_option(
            "--shard-images",
            title=WORKERS,
            help="Images of a shard, rounded up to whole batches.  [default: 64 MiB of codes, and "
            "at least 64 shards]",
        ),
        option(
            "--shard",
            "place",
            title=WORKERS,
            type=ShardPlace(),
            metavar="I/N|auto",
            help="Encode part I, from 0 to N-1, of the planned shards; auto reads the place from "
            "SLURM_ARRAY_TASK_ID or RANK. `latentmap cache commit` takes them in.",
        ),
        *worker_choices("Plan the shards, have so many workers encode them, and commit them."),
    )(command)


@dataclass(frozen=True)
class ShardSetup:
    """What a worker needs to make shards of the plan ``plan``: the command that asked for them.

    ``threads`` are those of its networks, and as many decode images; None: all that there are.
    ``chosen`` are the numbers of the models that are planned, by default all.
    """

    plan: str
    references: tuple[str, ...]
    data: DataOptions
    coding: CoderOptions
    loading: Loading
    folder: str
    threads: int | None
    chosen: tuple[int, ...] | None = None

    def __call__(self, worker: int) -> Work:
        """Loads the models and opens the images, and gives what makes one shard."""
        import torch

        from latentmap.cache.plan_folder import find_plans
        from latentmap.cache.shard_work import encode_shard

        os.chdir(self.folder)
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        loading = self.loading
        if loading.device == "cuda":
            loading = replace(loading, device=f"cuda:{worker % torch.cuda.device_count()}")
        models = loaded_models(self.references, self.data, loading)
        if self.chosen is not None:
            models = [models[number] for number in self.chosen]
        cache = open_cache(self.coding)
        plan = next((one for one in find_plans(cache.path) if one.id == self.plan), None)
        if plan is None:
            raise CacheError(f"the plan {self.plan} in {cache.path} is done, or was removed")
        images = self.data.parts(counts_of([plan], cache))

        def work(number: int) -> None:
            encode_shard(
                plan,
                number,
                models,
                images,
                cache,
                on_error=self.data.on_error,
                threads=self.threads,
            )

        return work


def loaded_models(references: tuple[str, ...], data: DataOptions, loading: Loading) -> list[Model]:
    """The models, which can encode."""
    models = data.complete(loading.all(references))
    for model in models:
        if model.stored is not None:  # Else it would give the codes that it has.
            model.require_encoder()
    return models


def counts_of(plans: Sequence[Plan], cache: LatentCache) -> list[Counts]:
    """How many images are in the files of some plans, where they are of sets of files."""
    from latentmap.cache.plan_folder import PlanFolder

    found = (PlanFolder(cache.path, plan, cache.entries.storage).counts() for plan in plans)
    return [counts for counts in found if counts is not None]


def open_cache(coding: CoderOptions) -> LatentCache:
    """The cache, without a word."""
    from latentmap.cache import LatentCache

    return LatentCache(coding.cache)
