"""The cache against a model of itself: writing, dying, damage, reading, removing, in any order."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from latentmap.cache import EntryKey, LatentCache
from latentmap.cache.entries import MARKER
from latentmap.cache.entry_writer import EntryWriter
from latentmap.cache.storage import Storage
from latentmap.codes import Space
from latentmap.errors import CacheError
from latentmap.frames import Frame

N, DIM, ROWS = 24, 2, 4
SPACE = Space("z", DIM, "tiny", "f" * 64)
IDS = np.array([f"{number}.jpg" for number in range(N)])
DIGESTS = np.random.default_rng(0).integers(0, 256, (N, 16), dtype=np.uint8)
CODES = np.random.default_rng(1).standard_normal((N, DIM)).astype(np.float32)
KEY = EntryKey(SPACE.fingerprint, "z", "d" * 64, {}, {})
PART = EntryKey(SPACE.fingerprint, "z", "part", {}, {})


class KilledError(BaseException):
    """The process is dead: not an error that a program can handle."""


class MortalStorage(Storage):
    """A disk under a process that dies after ``steps`` more steps; then nothing works any more."""

    steps = 10**9

    def tick(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise KilledError

    def write(self, path: Path, data: bytes) -> None:
        if self.steps == 0:
            path.write_bytes(data[: len(data) // 2])
        self.tick()
        super().write(path, data)

    def sync(self, path: Path) -> None:
        self.tick()

    def rename(self, source: Path, target: Path) -> None:
        self.tick()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self.tick()
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self.tick()


class CacheMachine(RuleBasedStateMachine):
    """One entry. ``committed`` is what was reported safe; ``damaged`` where a file was changed."""

    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(dir=memory))
        self.writer: EntryWriter | None = None
        self.storage = MortalStorage()
        self.appended = self.committed = 0
        self.damaged: int | None = None

    @initialize()
    def make(self) -> None:
        (self.folder / "entries").mkdir()
        (self.folder / MARKER).touch()

    def cache(self) -> LatentCache:
        return LatentCache(self.folder, shard_bytes=ROWS * DIM * 4, storage=self.storage)

    def leave(self, error: BaseException | None) -> None:
        assert self.writer is not None
        writer, self.writer = self.writer, None
        writer.__exit__(None if error is None else type(error), error, None)

    @precondition(lambda self: self.writer is None)
    @rule()
    def open(self) -> None:
        self.storage = MortalStorage()
        self.writer = self.cache().writer(
            KEY, space=SPACE, frame=Frame(), ids=IDS, digests=DIGESTS, timeout=0
        )
        self.writer.__enter__()
        if self.damaged is not None:
            assert self.writer.done == self.damaged, "what was right before the damage is kept"
            self.damaged = None
        else:
            assert self.writer.done >= self.committed
        self.committed = self.appended = self.writer.done

    @precondition(lambda self: self.writer is not None and self.appended < N)
    @rule(rows=st.integers(1, 6))
    def append(self, rows: int) -> None:
        assert self.writer is not None
        positions = np.arange(self.appended, min(self.appended + rows, N))
        self.writer.append(positions, CODES[positions], stop=int(positions[-1]) + 1)
        self.appended = int(positions[-1]) + 1
        self.committed = self.writer.done

    @precondition(lambda self: self.writer is not None)
    @rule()
    def close(self) -> None:
        self.leave(None)
        self.committed = self.appended

    @precondition(lambda self: self.writer is not None and self.appended < N)
    @rule(steps=st.integers(0, 20), rows=st.integers(1, 6))
    def die(self, steps: int, rows: int) -> None:
        """The process dies at some step of what it goes on to do."""
        assert self.writer is not None
        self.storage.steps = steps
        try:
            while self.appended < N:
                self.append(rows)
            self.writer.finish()
            self.committed = N
            raise KilledError
        except KilledError as error:
            self.storage.steps = 0
            try:
                self.leave(error)
            except KilledError:
                pass

    @precondition(lambda self: self.writer is None and self.shards())
    @rule(data=st.data())
    def damage(self, data: Any) -> None:
        """A bit of a shard flips."""
        paths = self.shards()
        path = data.draw(st.sampled_from(paths))
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1
        path.write_bytes(content)
        start = int(path.name.split("-")[1])
        self.damaged = start if self.damaged is None else min(start, self.damaged)

    @precondition(lambda self: self.writer is None)
    @rule()
    def remove(self) -> None:
        self.storage = MortalStorage()
        for entry in self.cache().entries.all():
            self.cache().entries.remove(entry)
        self.committed, self.damaged = 0, None
        assert not list((self.folder / "entries").iterdir())

    def shards(self) -> list[Path]:
        """The shards that the manifest names."""
        entries = self.cache().entries.all()
        manifest = entries[0].manifest if entries else None
        records = manifest.shards if manifest and self.damaged is None else ()
        return [self.folder / "entries" / KEY.id / record.name for record in records]

    @invariant()
    def what_is_served_is_right(self) -> None:
        cache = self.cache()
        if self.damaged is not None:
            assert cache.entries.verify()
            with pytest.raises(CacheError, match="damaged"):
                if cache.find(KEY) is None:
                    raise CacheError("damaged, and not complete anyhow")
            assert cache.find_covering(PART, IDS[:1], DIGESTS[:1]) is None
            return
        assert cache.entries.verify() == []
        if self.committed:
            codes = cache.find_covering(PART, IDS[: self.committed], DIGESTS[: self.committed])
            assert codes is not None
            np.testing.assert_array_equal(codes.rows.read(0, N), CODES[: self.committed])
        whole = cache.find(KEY)
        if whole is not None:
            np.testing.assert_array_equal(whole.rows.read(0, N), CODES)

    def teardown(self) -> None:
        if self.writer is not None:
            self.leave(None)
        shutil.rmtree(self.folder)


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, derandomize=True, database=None
)
