"""Shard driver: a plan carried out by an engine, and committed while it is."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from latentmap.cache.latent_cache import LatentCache
from latentmap.cache.plan import Plan
from latentmap.cache.plan_folder import PlanFolder
from latentmap.cache.shard_commit import Committed, commit_shards
from latentmap.engines import Engine
from latentmap.errors import CacheError, LatentmapError
from latentmap.files import Notify
from latentmap.progress import Progress

if TYPE_CHECKING:
    from latentmap.images.parts import Counts

_EVERY = 10.0  # Seconds between two commits: each writes the whole manifest.
_ROUNDS = 3  # A disk that damages what was just written does so again.


def start_plan(plan: Plan, cache: LatentCache, counts: Counts | None = None) -> Plan:
    """Puts a plan where workers find it, and gives it back; one that is there stays. ``counts`` are
    those of the images in each file, by which workers open their parts of a set of files alone.

    Raises:
        CacheError: it cannot be written.
    """
    cache.claim()
    try:
        PlanFolder(cache.path, plan, cache.entries.storage).create(counts)
    except OSError as error:
        raise CacheError(
            f"the plan cannot be written to {cache.path} ({error.strerror or error}): make that "
            "folder writable, free space, or name another (--cache FOLDER)"
        ) from error
    return plan


def carry_out(
    plan: Plan,
    cache: LatentCache,
    engine: Engine,
    *,
    progress: Progress | None = None,
    notify: Notify | None = None,
) -> int:
    """Makes all shards of a plan that are missing, and gives how many images were encoded for it.

    What is there is compared byte for byte first. ``engine`` is asked for the numbers of shards,
    and calls ``encode_shard`` for each. Whatever it raises, what was reported is committed.

    Raises:
        CacheError: the disk is full or broken, or damages what is written.
        Exception: what the engine raised.
    """
    start_plan(plan, cache)
    state = commit_shards(plan, cache, check_all=True, notify=notify)
    there = state.images
    rounds = 0
    while state.missing:
        if rounds == _ROUNDS:
            raise CacheError(
                f"{len(state.missing)} shards of the plan {plan.id} were damaged as soon as they "
                f"were written, such as shard {state.missing[0]}: check the disk, and run the same "
                "command to go on"
            )
        rounds += 1
        try:
            _make(plan, cache, engine, state, progress)
        except CacheError:
            # Another driver may have been first with the last shards, and have ended the plan.
            if commit_shards(plan, cache).missing:
                raise
        state = commit_shards(plan, cache, notify=notify)
    return plan.images - there


def _make(
    plan: Plan, cache: LatentCache, engine: Engine, state: Committed, progress: Progress | None
) -> None:
    """Has the missing shards made, and commits from time to time."""
    done, last = state.images, time.monotonic()
    if progress:
        progress(done, plan.images)
    try:
        # Closed, so that the workers end now, and not when somebody forgets the error.
        with closing(engine(state.missing)) as made:
            for number in made:
                start, stop = plan.range(number)
                done += stop - start
                if progress:
                    progress(done, plan.images)
                if time.monotonic() - last > _EVERY:
                    commit_shards(plan, cache)
                    last = time.monotonic()
    except BaseException:
        # The error on its way out is what the caller has to hear of.
        with suppress(LatentmapError):
            commit_shards(plan, cache, timeout=0)
        raise
