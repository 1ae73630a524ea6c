"""Shard commit: what workers reported of a plan becomes entries of the cache.

Only here a manifest is written, by one process at a time. A file is moved to its entry before the
manifest names it, and its report goes after that, so that whoever is killed in between loses
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from latentmap.cache.entries import Known, find_damage, load_manifest, lock_path
from latentmap.cache.latent_cache import LatentCache
from latentmap.cache.manifest import MANIFEST, Skipped
from latentmap.cache.plan import Plan, PlannedEntry
from latentmap.cache.plan_folder import PlanFolder, ShardReport
from latentmap.cache.shards import DamageError, ShardRecord, check_shard
from latentmap.cache.storage import advice_on
from latentmap.errors import CacheError
from latentmap.files import Notify, hold_lock, refuse_links


@dataclass(frozen=True)
class Committed:
    """How far a plan is: its shards that are ``missing``, and how many ``images`` are done in all
    of its entries; ``repairs`` says which shards were damaged and have to be made again.
    """

    missing: tuple[int, ...]
    images: int
    repairs: tuple[str, ...] = ()


def commit_shards(
    plan: Plan,
    cache: LatentCache,
    *,
    check_all: bool = False,
    timeout: float | None = None,
    notify: Notify | None = None,
) -> Committed:
    """Takes all shards that workers have reported into the entries of a plan, after every byte of
    them was compared with the report; the plan is removed with the last of them.

    With ``check_all`` those that were committed before are compared, too. What is damaged is
    dropped, and so is missing again. ``timeout`` is how many seconds another process may take that
    commits.

    Raises:
        CacheError: the disk is full or broken, another process commits for too long, or a report is
            of another plan.
    """
    folder = PlanFolder(cache.path, plan, cache.entries.storage)
    with _saving(cache.path), ExitStack() as stack:
        entries: list[_Entry] = []
        for planned in sorted(plan.entries, key=lambda one: one.key.id):
            lock = lock_path(cache.entries.folder(planned.key.id))
            refuse_links(lock.parent, lock.parents[1] / "entries", error=CacheError)
            cache.entries.storage.make_folder(lock.parent)
            what = f"entry {planned.key.id} of {cache.path}"
            stack.enter_context(hold_lock(lock, what, timeout=timeout, notify=notify))
            entries.append(_Entry(planned, plan, cache))
        repairs = [line for entry in entries for line in entry.resume(check_all)]
        numbers = folder.reported()
        taken = []
        for number in numbers:
            try:
                report = folder.report(number)
                for entry in entries:
                    entry.take(folder.shard(number), report, number)
            except DamageError as error:
                repairs.append(f"shard {number}: {error}; it is encoded again")
                folder.drop(number)
                for entry in entries:
                    entry.forget(number)
            else:
                taken.append(number)
        for entry in entries:
            entry.publish(repairs)
        for number in taken:
            folder.drop(number)
        missing = sorted({number for entry in entries for number in entry.missing()})
        if missing:
            folder.tidy(missing)
        else:
            folder.remove()
        for line in repairs:
            if notify:
                notify(f"{cache.path} was damaged: {line}")
        lacking = sum(stop - start for start, stop in map(plan.range, missing))
        return Committed(tuple(missing), plan.images - lacking, tuple(repairs))


class _Entry:
    """One entry of a plan while it is committed."""

    def __init__(self, planned: PlannedEntry, plan: Plan, cache: LatentCache) -> None:
        self._planned, self._plan, self._cache = planned, plan, cache
        self._folder = cache.entries.folder(planned.key.id)
        self._records: dict[int, ShardRecord | None] = {}
        self._skipped: dict[int, tuple[Skipped, ...]] = {}
        self._manifest = planned.blank(plan.images)
        self._new = False

    @property
    def done(self) -> int:
        return sum(stop - start for start, stop in map(self._plan.range, self._records))

    def missing(self) -> set[int]:
        """The shards that are not there."""
        return set(range(len(self._plan))) - set(self._records)

    def resume(self, check_all: bool) -> Iterator[str]:
        """Takes over what was committed and is there, and says of each shard that is not."""
        try:
            manifest = load_manifest(self._folder) or self._manifest
        except DamageError as error:
            self._new = True
            yield f"{error}; all images are encoded again"
            return
        self._manifest = manifest
        size = self._plan.shard_images
        done = set(range(len(self._plan)))
        for start, stop in [*manifest.holes, (manifest.end, manifest.images)]:
            if start < stop:
                done -= set(range(start // size, -(-stop // size)))
        for number in done:
            self._records[number] = None
        for record in manifest.shards:
            self._records[record.start // size] = record
        for skip in manifest.skipped:
            place = skip.position // size
            self._skipped[place] = (*self._skipped.get(place, ()), skip)
        for record in manifest.shards:
            if problem := self._problem(record, check_all):
                self.forget(record.start // size)
                yield f"{problem}; shard {record.start // size} is encoded again"

    def take(self, shard: Path, report: ShardReport, number: int) -> None:
        """Moves the file of a reported shard to its entry, unless that has one.

        Raises:
            DamageError: it is not what was reported.
        """
        if number in self._records:
            return
        record = report.records.get(self._planned.key.id)
        skipped = report.skipped
        start, stop = self._plan.range(number)
        rows = 0 if record is None else record.rows
        whole = report.images == stop - start == rows + len(skipped)
        if not whole or (record and (record.start, record.stop) != (start, stop)):
            raise DamageError(f"its report does not account for images {start} to {stop}")
        if record is not None:
            here, there = shard / f"{self._planned.key.id}.h5", self._folder / record.name
            if here.is_file():
                check_shard(here, record, checksum=True, known=set())
                self._cache.entries.storage.make_folder(self._folder)
                self._cache.entries.storage.rename(here, there)
            else:
                # Moved by one who was killed before its manifest was there.
                check_shard(there, record, checksum=True, known=set())
        self._records[number] = record
        self._skipped[number] = skipped
        self._new = True

    def forget(self, number: int) -> None:
        """Counts a shard as not there."""
        if number in self._records:
            del self._records[number]
            self._skipped.pop(number, None)
            self._new = True

    def publish(self, repairs: list[str]) -> None:
        """Replaces the manifest, where something is new."""
        if not self._new:
            return
        numbers = sorted(self._records)
        holes: list[tuple[int, int]] = []
        for number in sorted(self.missing() & set(range(max(numbers, default=0)))):
            start, stop = self._plan.range(number)
            if holes and holes[-1][1] == start:
                start, _ = holes.pop()
            holes.append((start, stop))
        records = [self._records[number] for number in numbers]
        manifest = replace(
            self._manifest,
            done=self.done,
            shards=tuple(record for record in records if record is not None),
            skipped=tuple(skip for number in numbers for skip in self._skipped.get(number, ())),
            repairs=(*self._manifest.repairs, *repairs),
            holes=tuple(holes),
        )
        storage = self._cache.entries.storage
        storage.make_folder(self._folder)
        storage.sync_folder(self._folder)
        storage.publish(self._folder / MANIFEST, manifest.to_bytes())

    def _problem(self, record: ShardRecord, check_all: bool) -> str:
        """What is wrong with a committed shard; nothing is read of it but for ``check_all``."""
        known: Known = set()
        if check_all:
            return find_damage(self._folder, record, known=known)
        try:
            check_shard(self._folder / record.name, record, checksum=False, known=known)
        except DamageError as error:
            return str(error)
        return ""


@contextmanager
def _saving(cache: Path) -> Iterator[None]:
    try:
        yield
    except CacheError:
        raise
    except OSError as error:
        raise CacheError(
            f"{cache} cannot be written ({error.strerror or error}): all shards that were made "
            f"are safe; {advice_on(error)}"
        ) from error
