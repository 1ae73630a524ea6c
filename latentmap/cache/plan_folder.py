"""PlanFolder: where workers put the shards of a plan, until they are committed::

    CACHE/plans/<16 hex digits of the plan>/plan.json
                                            files.json
                                            shard-<number>/<16 hex digits of an entry>.h5
                                                           report.json

A worker fills a folder of a name of its own, syncs it, and renames it: a shard is there with its
report or not at all, and of two workers that made the same one the first counts. Nobody needs a
lock for that, on no machine.
"""

from __future__ import annotations

import errno
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latentmap.cache.manifest import Skipped
from latentmap.cache.plan import PLAN, Plan
from latentmap.cache.sealed import seal, unseal
from latentmap.cache.shards import DamageError, ShardRecord
from latentmap.cache.storage import Storage
from latentmap.errors import CacheError
from latentmap.files import folders_in, open_regular, reason_of, size_of

if TYPE_CHECKING:
    from latentmap.images.parts import Counts

PLANS = "plans"
PLAN_NAME = re.compile(r"[0-9a-f]{16}")
_FILES = "files.json"
_REPORT = "report.json"
_SHARD = re.compile(r"shard-\d{6,}")
_ATTEMPT = re.compile(r"(shard-\d{6,})\.[0-9a-f]{16}\.tmp")
_ABANDONED = 24 * 3600.0  # Seconds without a change, after which nobody writes an attempt any more.
_MOST_IMAGES = 1 << 48  # In a file: the sums of so many of them are numbers that numpy has.
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


@dataclass(frozen=True)
class ShardReport:
    """What a worker says of one shard: the records of its file for each entry by its id, those
    without codes left out; the images that could not be read; and how many there were.
    """

    records: Mapping[str, ShardRecord]
    skipped: tuple[Skipped, ...]
    images: int

    def to_bytes(self, plan: str, number: int) -> bytes:
        """The file of shard ``number`` of a plan."""
        return seal(
            {
                "plan": plan,
                "shard": number,
                "images": self.images,
                "records": {name: asdict(record) for name, record in self.records.items()},
                "skipped": [skip._asdict() for skip in self.skipped],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, plan: str, number: int) -> ShardReport:
        """The report in a file.

        Raises:
            DamageError: the file is not what was written.
            CacheError: it is of another plan, or of another shard.
        """
        body = unseal(data, _REPORT)
        if (body.get("plan"), body.get("shard")) != (plan, number):
            raise CacheError(
                f"a report of shard {body.get('shard')} of the plan {body.get('plan')} stands in "
                f"the place of shard {number} of the plan {plan}: shards of two plans do not go "
                "together, remove that folder"
            )
        try:
            records = {name: ShardRecord(**one) for name, one in body["records"].items()}
            report = cls(records, tuple(Skipped(**one) for one in body["skipped"]), body["images"])
            sound = report._typed() and report.to_bytes(plan, number) == data
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DamageError(f"{_REPORT} is not a report ({reason_of(error)})") from error
        if not sound:
            raise DamageError(f"{_REPORT} contradicts itself")
        return report

    def _typed(self) -> bool:
        """Whether all that it is made of has the types that it should have."""
        numbers, texts = [self.images], [*self.records]
        for record in self.records.values():
            numbers += [record.start, record.stop, record.rows, record.size]
            texts.append(record.sha256)
        for skip in self.skipped:
            numbers.append(skip.position)
            texts += [skip.id, skip.message]
        return all(isinstance(text, str) for text in texts) and all(
            type(number) is int and number >= 0 for number in numbers
        )


class PlanFolder:
    """The folder of ``plan`` in the cache at ``cache``; ``storage`` is the disk."""

    def __init__(self, cache: Path, plan: Plan, storage: Storage) -> None:
        self.plan = plan
        self.path = cache / PLANS / plan.id
        self._storage = storage

    def create(self, counts: Counts | None = None) -> None:
        """Writes the plan, where it is not there, and how many images are in each file.

        Raises:
            OSError: it cannot be written.
        """
        if self.exists:
            return
        self._storage.make_folder(self.path)
        if counts is not None:
            self._put(_FILES, seal({"files": [list(one) for one in counts.items()]}))
        self._put(PLAN, self.plan.to_bytes())
        self._storage.sync_folder(self.path)

    def counts(self) -> Counts | None:
        """How many images are in each file, where that was written."""
        try:
            with open_regular(self.path / _FILES) as file:
                found = dict(unseal(file.read(), _FILES)["files"])
        except (OSError, DamageError, LookupError, TypeError, ValueError):
            return None  # They are counted again.
        # Where they lie anybody may write, and a seal says only that they were written whole.
        sound = all(type(n) is int and 0 <= n < _MOST_IMAGES for n in found.values())
        return found if sound else None

    def _put(self, name: str, data: bytes) -> None:
        # Two that plan at once write the same.
        temporary = self.path / f"{name}.{secrets.token_hex(4)}.tmp"
        self._storage.write(temporary, data)
        self._storage.sync(temporary)
        self._storage.rename(temporary, self.path / name)

    @property
    def exists(self) -> bool:
        """Whether the plan is worked on."""
        return (self.path / PLAN).is_file()

    def shard(self, number: int) -> Path:
        """Where shard ``number`` is, or would be."""
        return self.path / f"shard-{number:06d}"

    def reported(self) -> list[int]:
        """The shards that are there, in order."""
        return sorted(map(_number, folders_in(self.path, _SHARD)))

    def report(self, number: int) -> ShardReport:
        """What was said of a shard that is there.

        Raises:
            DamageError: it is not what was written, or is no more there.
            CacheError: it is of another plan.
        """
        try:
            with open_regular(self.shard(number) / _REPORT) as file:
                data = file.read()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise DamageError(f"{_REPORT} cannot be read ({error.strerror})") from error
        return ShardReport.from_bytes(data, self.plan.id, number)

    @contextmanager
    def attempt(self, number: int) -> Iterator[Path]:
        """An empty folder that is removed when the block ends, if it is still there.

        Raises:
            OSError: it cannot be made.
        """
        folder = self.path / f"{self.shard(number).name}.{secrets.token_hex(8)}.tmp"
        self._storage.mkdir(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, attempt: Path, number: int, report: ShardReport) -> None:
        """Puts what stands in the folder ``attempt`` there as shard ``number``, unless another
        worker has done so.

        Raises:
            OSError: it cannot be written.
        """
        file = attempt / _REPORT
        self._storage.write(file, report.to_bytes(self.plan.id, number))
        for path in attempt.iterdir():
            self._storage.sync(path)
        self._storage.sync_folder(attempt)
        try:
            self._storage.rename(attempt, self.shard(number))
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        self._storage.sync_folder(self.path)

    def tidy(self, missing: Collection[int]) -> None:
        """Removes what killed workers began: of shards that are not ``missing``, whose workers find
        that they are committed, and what nobody has changed for a day.
        """
        for attempt in folders_in(self.path, _ATTEMPT):
            with suppress(FileNotFoundError):
                needed = _number(attempt) in missing
                if not needed or time.time() - attempt.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(attempt, ignore_errors=True)

    def drop(self, number: int) -> None:
        """Removes a shard: it is committed, or is damaged."""
        shutil.rmtree(self.shard(number), ignore_errors=True)

    def remove(self) -> None:
        """Removes the plan and all that is left of it."""
        # The plan goes last: without it nobody would know what the rest is.
        for number in self.reported():
            self.drop(number)
        shutil.rmtree(self.path, ignore_errors=True)


def find_plans(cache: Path) -> list[Plan]:
    """All plans of a cache that are worked on, the newest last.

    Raises:
        CacheError: one is damaged, or of a newer version.
    """
    found = []
    for folder in folders_in(cache / PLANS, PLAN_NAME):
        # Removed in this moment, or made by a killed program.
        with suppress(FileNotFoundError), open_regular(folder / PLAN) as file:
            plan = _read(folder, file.read())
            found.append(((folder / PLAN).stat().st_mtime_ns, plan))
    return [plan for _, plan in sorted(found, key=lambda one: one[0])]


def plan_names(cache: Path) -> list[str]:
    """The ids of all plans of a cache, also of those that cannot be read."""
    return [folder.name for folder in folders_in(cache / PLANS, PLAN_NAME)]


def size_of_plan(cache: Path, name: str) -> int:
    """The bytes of a plan, and of what workers have made of it and is not committed."""
    return size_of(path for path in (cache / PLANS / name).rglob("*") if path.is_file())


def remove_plan(cache: Path, name: str) -> None:
    """Removes a plan, and what workers have made of it and is not committed.

    Raises:
        CacheError: it cannot be removed.
    """
    try:
        with suppress(FileNotFoundError):  # Another process removes it, too.
            shutil.rmtree(cache / PLANS / name)
    except OSError as error:
        raise CacheError(
            f"the plan {name} of {cache} cannot be removed: {error.strerror or error}"
        ) from error


def _number(shard: Path) -> int:
    return int(shard.name.removeprefix("shard-").partition(".")[0])


def _read(folder: Path, data: bytes) -> Plan:
    try:
        plan = Plan.from_bytes(data)
        if plan.id != folder.name:
            raise DamageError(f"{PLAN} is the one of plan {plan.id}")
    except CacheError as error:
        cache = folder.parents[1]
        raise type(error)(
            f"{folder}: {error}; remove it (latentmap cache rm --plan {folder.name} --cache "
            f"{cache}), and plan again"
        ) from error
    return plan
