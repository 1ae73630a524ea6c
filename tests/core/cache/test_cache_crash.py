"""The cache on a bad day: killed, out of power, out of disk, with flipped bits.

What was committed is served and right, nothing else ever is, and the next run completes the rest.
The single steps on the disk are recorded by a stand-in for its Storage: each can be the last.
"""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partialmethod
from itertools import count as count_from
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from latentmap.cache import EntryKey, LatentCache
from latentmap.cache.entries import MARKER
from latentmap.cache.storage import Storage
from latentmap.codes import Codes, Space
from latentmap.errors import CacheError
from latentmap.frames import Frame

DIM, SHARD, N = 3, 5, 20
SPACE = Space("z", DIM, "tiny", "f" * 64)
KEY = EntryKey(SPACE.fingerprint, "z", "d" * 64, {}, {})
PART = replace(KEY, data="part")
IDS = np.array([f"{number}.jpg" for number in range(N)])
DIGESTS = np.random.default_rng(0).integers(0, 256, (N, 16), dtype=np.uint8)
CODES = np.random.default_rng(1).standard_normal((N, DIM)).astype(np.float32)
# One image cannot be read.
BROKEN = 7
GOOD = np.delete(np.arange(N), BROKEN)
PAGE = 4096

# A step on the disk: its name and its arguments, with paths below the cache.
Step = tuple[Any, ...]
Change = Callable[[bytes, random.Random], bytes]


class QuickStorage(Storage):
    """A disk that does not wait for the platter."""

    def sync(self, path: Path) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


class Recorder(QuickStorage):
    """Writes every step down; ``acknowledge`` notes how many images were reported safe."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[Step] = []

    def acknowledge(self, done: int) -> None:
        self.steps.append(("acknowledge", done))

    def note(self, name: str, *paths: Path, data: bytes | None = None) -> None:
        places = [path.relative_to(self.root).as_posix() for path in paths]
        self.steps.append((name, *places) if data is None else (name, *places, data))

    def write(self, path: Path, data: bytes) -> None:
        self.note("write", path, data=data)
        super().write(path, data)

    def sync(self, path: Path) -> None:
        self.note("sync", path)

    def rename(self, source: Path, target: Path) -> None:
        self.note("rename", source, target)
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self.note("unlink", path)
        super().unlink(path)

    def mkdir(self, folder: Path) -> None:
        self.note("mkdir", folder)
        super().mkdir(folder)

    def rmdir(self, folder: Path) -> None:
        self.note("rmdir", folder)
        super().rmdir(folder)

    def sync_folder(self, folder: Path) -> None:
        self.note("sync_folder", folder)


def cache_at(path: Path, storage: Storage | None = None) -> LatentCache:
    # A batch is a shard, also with one image less.
    return LatentCache(path, shard_bytes=(SHARD - 1) * DIM * 4, storage=storage or QuickStorage())


def encode(
    cache: LatentCache,
    *,
    stop: int = N,
    acknowledge: Callable[[int], object] = lambda done: None,
) -> Codes | None:
    with cache.writer(KEY, space=SPACE, frame=Frame(), ids=IDS, digests=DIGESTS) as writer:
        acknowledge(writer.done)
        for start in range(writer.done, stop, SHARD):
            positions = np.arange(start, min(start + SHARD, stop))
            good = positions[positions != BROKEN]
            failed = [(BROKEN, "cut off")] if BROKEN in positions else []
            writer.append(good, CODES[good], stop=int(positions[-1]) + 1, failed=failed)
            acknowledge(writer.done)
        return writer.finish() if stop == N else None


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (folder / MARKER, *sorted((folder / "entries").rglob("*")))
        if path.is_file()
    }


def tree(folder: Path) -> dict[Path, bytes | None]:
    """All files and folders below a folder; a folder has no bytes."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def committed(folder: Path) -> int:
    """How many images are committed, after a look whether exactly those are served, and right."""
    cache = cache_at(folder)
    entries = cache.entries.all() if (folder / "entries").is_dir() else ()
    assert not entries or cache.entries.verify() == []
    manifests = [entry.manifest for entry in entries if entry.manifest]
    done = manifests[0].done if manifests else 0
    good, more = GOOD[GOOD < done], GOOD[GOOD <= done]
    if done:
        codes = cache.find_covering(PART, IDS[good], DIGESTS[good])
        assert codes is not None
        np.testing.assert_array_equal(codes.rows.read(0, N), CODES[good])
    if done < N:
        if len(more) > len(good):
            assert cache.find_covering(PART, IDS[more], DIGESTS[more]) is None
        assert cache.find(KEY) is None
    else:
        whole = cache.find(KEY)
        assert whole is not None
        assert whole.skipped == (IDS[BROKEN],)
    return done


@dataclass
class Run:
    """What some work did to the disk, and how to look at what a crash leaves of it."""

    before: dict[str, bytes]
    steps: list[Step]
    check: Callable[[Path, int], None]
    seen: set[Any] = field(default_factory=set)

    def acknowledged(self, count: int) -> int:
        done = [step[1] for step in self.steps[:count] if step[0] == "acknowledge"]
        return max(done, default=0)

    def after(self, folder: Path, steps: list[Step]) -> None:
        """The disk when these steps were done."""
        lay_out(folder, self.before)
        storage = QuickStorage()
        for name, *arguments in steps:
            if name == "write":
                storage.write(folder / arguments[0], arguments[1])
            elif name not in ("acknowledge", "sync", "sync_folder"):
                getattr(storage, name)(*(folder / path for path in arguments))

    def look(self, folder: Path, count: int) -> None:
        """Checks what a crash after ``count`` steps has left, and removes it.

        What has been seen is right already: many steps, such as a sync, leave the same.
        """
        left = (self.acknowledged(count), frozenset(tree(folder).items()))
        if left not in self.seen:
            self.check(folder, left[0])
            self.seen.add(left)
        shutil.rmtree(folder)


def lay_out(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir()
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: thousands of renames on a disk take their time."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a run in which nothing happened."""
    folder = tmp_path_factory.mktemp("whole")
    encode(cache_at(folder))
    return files(folder)


def interrupted(root: Path, whole: dict[str, bytes]) -> Run:
    """Encodes some images, stops, and encodes the rest."""
    lay_out(root, {})
    recorder = Recorder(root)
    encode(cache_at(root, recorder), stop=10, acknowledge=recorder.acknowledge)
    encode(cache_at(root, recorder), acknowledge=recorder.acknowledge)

    def check(folder: Path, least: int) -> None:
        assert committed(folder) >= least
        encode(cache_at(folder))
        assert files(folder) == whole

    return Run({}, recorder.steps, check)


def repaired(root: Path, whole: dict[str, bytes]) -> Run:
    """Finds a damaged shard, and encodes again from there."""
    path = sorted(path for path in whole if path.endswith(".h5"))[1]
    before = {**whole, path: whole[path][:-1] + bytes([whole[path][-1] ^ 1])}
    lay_out(root, before)
    recorder = Recorder(root)
    encode(cache_at(root, recorder), acknowledge=recorder.acknowledge)
    assert recorder.steps

    def check(folder: Path, least: int) -> None:
        try:
            codes = cache_at(folder).find(KEY)
        except CacheError:
            assert cache_at(folder).entries.verify()
        else:
            assert codes is None or np.array_equal(codes.rows.read(0, N), CODES[GOOD])
        done: list[int] = []
        encode(cache_at(folder), acknowledge=done.append)
        assert done[0] >= max(least, SHARD), "what was right before the damage is lost"
        assert committed(folder) == N
        shards = {path: content for path, content in whole.items() if path.endswith(".h5")}
        assert {path: files(folder)[path] for path in shards} == shards

    return Run(before, recorder.steps, check)


def removed(root: Path, whole: dict[str, bytes]) -> Run:
    """Removes an entry."""
    lay_out(root, whole)
    recorder = Recorder(root)
    cache = cache_at(root, recorder)
    cache.entries.remove(cache.entries.named())
    assert list(files(root)) == [MARKER]

    def check(folder: Path, least: int) -> None:
        assert committed(folder) in (0, N)
        encode(cache_at(folder))
        assert files(folder) == whole

    return Run(whole, recorder.steps, check)


@pytest.fixture(params=[interrupted, repaired, removed], ids=lambda work: work.__name__)
def run(request, memory, whole):
    return request.param(memory / "run", whole)


def test_a_commit_is_a_shard_and_then_a_manifest_each_synced_before_it_gets_its_name(memory, whole):
    steps = interrupted(memory / "run", whole).steps
    # The marker of the cache says all by being there.
    steps = [step for step in steps if step[:2] != ("write", MARKER)]
    names = [step[0] for step in steps if step[0] not in ("acknowledge", "mkdir")]
    text = " ".join(names).replace("write sync rename sync_folder", "publish")
    assert set(text.split()) == {"publish", "sync_folder"}
    targets = [Path(step[2]).name for step in steps if step[0] == "rename"]
    assert [name[:5] for name in targets] == ["shard", "manif"] * 4


def test_every_step_may_be_the_last(memory, run):
    for count in range(len(run.steps) + 1):
        run.after(memory / "after", run.steps[:count])
        run.look(memory / "after", count)


def test_every_write_may_be_torn(memory, run):
    for count, (name, *arguments) in enumerate(run.steps):
        if name == "write":
            path, data = arguments
            for length in (0, 1, len(data) // 2, len(data) - 1):
                run.after(memory / "after", [*run.steps[:count], (name, path, data[:length])])
                run.look(memory / "after", count)


@dataclass
class File:
    durable: bytes
    current: bytes

    def after_power_loss(self, chance: random.Random) -> bytes:
        """Each page that was written since the last fsync is there or is not."""
        length = len(chance.choice((self.durable, self.current)))
        pages = [
            chance.choice((self.durable, self.current))[place : place + PAGE].ljust(PAGE, b"\0")
            for place in range(0, length, PAGE)
        ]
        return b"".join(pages)[:length]


class Disk:
    """What a disk may hold after the power fails.

    Names, like pages, are safe only once they are synced; until then each may be there or not.
    """

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.names: dict[str, File | None] = {}
        for path, content in contents.items():
            self.names |= {str(folder): None for folder in PurePosixPath(path).parents}
            self.names[path] = File(content, content)
        self.durable = dict(self.names)
        self.pending: list[Step] = []

    def change(self, path: str, what: str, *more: Any) -> None:
        self.pending.append((str(PurePosixPath(path).parent), what, path, *more))

    def acknowledge(self, done: int) -> None:
        pass

    def file(self, path: str) -> File:
        file = self.names[path]
        assert file is not None
        return file

    def write(self, path: str, data: bytes) -> None:
        if path not in self.names:
            self.names[path] = File(b"", b"")
            self.change(path, "link", self.names[path])
        self.file(path).current = data

    def sync(self, path: str) -> None:
        self.file(path).durable = self.file(path).current

    def rename(self, source: str, target: str) -> None:
        self.names[target] = self.names.pop(source)
        self.change(target, "rename", source, self.names[target])

    def unlink(self, path: str) -> None:
        del self.names[path]
        self.change(path, "unlink")

    def mkdir(self, path: str) -> None:
        self.names[path] = None
        self.change(path, "link", None)

    def rmdir(self, path: str) -> None:
        self.unlink(path)

    def sync_folder(self, folder: str) -> None:
        for change in self.pending:
            if change[0] == folder:
                self.apply(*change[1:])
        self.pending = [change for change in self.pending if change[0] != folder]

    def apply(self, what: str, path: str, *more: Any) -> None:
        if what == "unlink":
            self.durable.pop(path, None)
        elif what == "rename":
            self.durable.pop(more[0], None)
        if what != "unlink":
            self.durable[path] = more[-1]

    def after_power_loss(self, folder: Path, chance: random.Random) -> None:
        for change in self.pending:
            if chance.random() < 0.5:
                self.apply(*change[1:])
        folder.mkdir()
        for path in sorted(set(self.durable) - {"."}):
            if not (folder / path).parent.is_dir():
                continue
            file = self.durable[path]
            if file is None:
                (folder / path).mkdir()
            else:
                (folder / path).write_bytes(file.after_power_loss(chance))


def lose_power(run: Run, folder: Path, chance: random.Random) -> None:
    count = chance.randrange(len(run.steps) + 1)
    disk = Disk(run.before)
    for name, *arguments in run.steps[:count]:
        getattr(disk, name)(*arguments)
    disk.after_power_loss(folder, chance)
    run.look(folder, count)


def test_the_power_may_fail_at_any_moment(memory, run):
    chance = random.Random(0)
    for _ in range(100):
        lose_power(run, memory / "after", chance)


def test_without_fsync_the_power_test_fails(memory, whole):
    run = interrupted(memory / "run", whole)
    run.steps = [step for step in run.steps if not step[0].startswith("sync")]
    chance = random.Random(0)
    failures = 0
    for number in range(30):
        try:
            lose_power(run, memory / str(number), chance)
        except (AssertionError, CacheError):
            failures += 1
    assert failures > 10, "the simulation loses nothing, so it shows nothing"


class Failing(QuickStorage):
    """A disk on which one step fails; a write stops half way.

    A full disk stays full: then all later steps that need space fail as well.
    """

    STEPS = ("write", "sync", "rename", "unlink", "mkdir", "rmdir", "sync_folder")

    def __init__(self, at: int, error: BaseException) -> None:
        self.at, self.error, self.count = at, error, 0

    def step(self, name: str, *arguments: Any) -> None:
        self.count += 1
        full = getattr(self.error, "errno", 0) == errno.ENOSPC and name in ("write", "mkdir")
        if self.count == self.at or (self.count > self.at and full):
            if name == "write":
                path, data = arguments
                path.write_bytes(data[: len(data) // 2])
            raise self.error
        getattr(QuickStorage, name)(self, *arguments)


for _name in Failing.STEPS:
    setattr(Failing, _name, partialmethod(Failing.step, _name))


def failing_runs(error: BaseException) -> Iterator[Failing]:
    """A disk for each step of a run, at which that step fails; ends when no step has failed."""
    for at in count_from(1):
        storage = Failing(at, error)
        yield storage
        if storage.count < at:
            return


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_disk_that_fails_at_any_step_costs_only_what_was_not_committed(memory, whole, code):
    failures = 0
    for storage in failing_runs(OSError(code, os.strerror(code))):
        folder = memory / str(storage.at)
        safe: list[int] = []
        try:
            encode(cache_at(folder, storage), acknowledge=safe.append)
        except CacheError as error:
            failures += 1
            done = max(safe, default=0)
            assert "\n" not in str(error)
            assert f"({os.strerror(code)}): {done} of {N} images are safe" in str(error)
            assert ("free space" in str(error)) == (code == errno.ENOSPC)
            assert str(error).endswith("run the same command to go on")
            # What failed after the commit may be there all the same.
            assert done <= committed(folder) <= done + SHARD
            assert not list(folder.rglob("*.tmp")) or code == errno.EIO
        encode(cache_at(folder))
        assert files(folder) == whole
    assert failures == storage.at - 1 > 30


def test_a_removal_that_fails_at_any_step_can_be_tried_again(memory, whole):
    for storage in failing_runs(OSError(errno.EIO, os.strerror(errno.EIO))):
        folder = memory / str(storage.at)
        lay_out(folder, whole)
        cache = cache_at(folder, storage)
        if storage.at <= 8:
            with pytest.raises(CacheError, match=f"entry {KEY.id} of .* cannot be removed: Input"):
                cache.entries.remove(cache.entries.named())
        if (folder / "entries" / KEY.id).exists():
            assert committed(folder) in (0, N)
            cache = cache_at(folder)
            cache.entries.remove(cache.entries.named())
        assert list(files(folder)) == [MARKER]


def test_ctrl_c_at_any_step_keeps_what_was_appended(memory, whole):
    for storage in failing_runs(KeyboardInterrupt()):
        folder = memory / str(storage.at)
        safe = [0]
        with suppress(KeyboardInterrupt):
            encode(cache_at(folder, storage), acknowledge=safe.append)
        if folder.exists():
            done = committed(folder)
            assert done >= safe[-1]
        encode(cache_at(folder))
        assert files(folder) == whole


def expect_damage(folder: Path, what: str) -> None:
    """The cache in ``folder`` has a changed file: that must be told, and nothing wrong served."""
    cache = cache_at(folder)
    assert len(cache.entries.verify()) == 1, f"{what} was not reported"
    with pytest.raises(CacheError, match=f"entry {KEY.id} of .* is damaged"):
        cache.find(KEY)
    assert cache.find_covering(PART, IDS[GOOD[:3]], DIGESTS[GOOD[:3]]) is None


def changed(folder: Path, chance: random.Random, change: Change, times: int) -> Iterator[str]:
    """Puts one changed file after the other in place of the right one."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".h5"))
    assert len(paths) == 5
    for number in range(times):
        path = paths[number % len(paths)]
        data = path.read_bytes()
        path.write_bytes(change(data, chance))
        yield f"{path.name}, change {number}"
        path.write_bytes(data)


def flip_bit(data: bytes, chance: random.Random) -> bytes:
    # Every other one in the head, where HDF5 keeps what it knows of the data.
    place = chance.randrange(min(len(data), 2048) if chance.random() < 0.5 else len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def cut_off(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


@pytest.mark.parametrize(("change", "times"), [(flip_bit, 500), (cut_off, 200)])
def test_every_flipped_bit_and_every_cut_is_reported_and_never_served(memory, whole, change, times):
    folder = memory / "codes"
    lay_out(folder, whole)
    for what in changed(folder, random.Random(0), change, times):
        expect_damage(folder, what)
    assert committed(folder) == N


def test_shards_that_are_missing_or_changed_places_are_reported(memory, whole):
    first, second = sorted(path for path in whole if path.endswith(".h5"))[1:3]
    contents = [
        {**whole, first: whole[second], second: whole[first]},
        {path: content for path, content in whole.items() if path != first},
        {**whole, first: whole[first] + b"more"},
        {**whole, first: bytes(len(whole[first]))},
    ]
    for number, content in enumerate(contents):
        folder = memory / str(number)
        lay_out(folder, content)
        assert cache_at(folder).entries.verify()
        with pytest.raises(CacheError, match="is damaged: shard"):
            cache_at(folder).find(KEY)


def test_a_full_disk_keeps_what_is_there_and_the_next_run_completes_it(tmp_path):
    """A real one: a small file system in memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        not mount
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=48k", "tmpfs", folder], capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a file system")
    try:
        safe: list[int] = []
        message = rf"\(No space left on device\): [0-9]+ of {N} images are safe; free space"
        with pytest.raises(CacheError, match=message):
            encode(LatentCache(folder, shard_bytes=48), acknowledge=safe.append)
        assert 0 < max(safe) == committed(folder) < N
        subprocess.run([mount, "-o", "remount,size=1m", folder], check=True)
        encode(LatentCache(folder, shard_bytes=48))
        assert committed(folder) == N
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(("writers", "kills"), [(1, 50), (2, 60)])
def test_killed_writers_lose_nothing_that_was_committed(memory, tmp_path, writers, kills):
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    # On a disk a kill mostly meets an fsync, in memory the other steps.
    folder = tmp_path if writers == 1 else memory
    program = Path(__file__).with_name("kill_writers.py")
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, program, folder, str(kills), str(writers), "0"],
        env={**os.environ, **one_thread},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["killed"] >= kills
