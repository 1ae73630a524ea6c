"""Kills writers of a cache with SIGKILL at random moments; a program that test_cache_crash.py runs.

Usage: kill_writers.py FOLDER KILLS WRITERS SEED. The parent imports everything once and has a
single thread, so that a writer is a fork of some milliseconds. Each writer reports what is
committed through a pipe; after each kill the parent looks whether all of it is there and right.
Prints one JSON object.
"""

import hashlib
import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from latentmap.cache import EntryKey, LatentCache
from latentmap.codes import Space
from latentmap.frames import Frame

DIM, ROWS, BATCH, SHARD = 8, 320, 16, 32
SPACE = Space("z", DIM, "tiny", "f" * 64)
IDS = np.array([f"{number}.jpg" for number in range(ROWS)])
DIGESTS = np.frombuffer(
    b"".join(hashlib.sha256(name.encode()).digest()[:16] for name in IDS), np.uint8
).reshape(ROWS, 16)


class Work:
    """One entry that writers come and go at, until it is complete."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder / str(number)
        self.key = EntryKey(SPACE.fingerprint, "z", f"{number:064x}", {}, {})
        self.codes = np.random.default_rng(number).standard_normal((ROWS, DIM), np.float32)
        self.committed = 0

    def cache(self) -> LatentCache:
        return LatentCache(self.folder, shard_bytes=SHARD * DIM * 4)

    def write(self, pipe: int) -> None:
        with self.cache().writer(
            self.key, space=SPACE, frame=Frame(), ids=IDS, digests=DIGESTS
        ) as writer:
            os.write(pipe, b"%4d" % writer.done)
            for start in range(writer.done, ROWS, BATCH):
                positions = np.arange(start, start + BATCH)
                writer.append(positions, self.codes[positions], stop=start + BATCH)
                os.write(pipe, b"%4d" % writer.done)
            writer.finish()

    def look(self) -> bool:
        """Whether all rows are there; raises when a reported one is missing or wrong."""
        cache = self.cache()
        entries = cache.entries.all() if (self.folder / "entries").is_dir() else ()
        done = entries[0].manifest.done if entries and entries[0].manifest else 0
        assert done >= self.committed, f"{done} rows are there, {self.committed} were committed"
        if done:
            part = EntryKey(SPACE.fingerprint, "z", "part", {}, {})
            codes = cache.find_covering(part, IDS[:done], DIGESTS[:done])
            assert codes is not None, f"{done} rows are not served"
            assert np.array_equal(codes.rows.read(0, done), self.codes[:done]), "rows are wrong"
        whole = cache.find(self.key)
        # Another writer may have finished meanwhile.
        assert whole is not None or done < ROWS, "a whole entry is not served"
        if whole is not None:
            assert np.array_equal(whole.rows.read(0, ROWS), self.codes), "rows are wrong"
            assert np.array_equal(whole.ids, IDS), "ids are wrong"
        return whole is not None


class Writer:
    """A child process that writes."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.reports, pipe = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            status = 1
            try:
                work.write(pipe)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                # No clean-up: nothing of the parent may run twice.
                os._exit(status)
        os.close(pipe)

    def kill(self) -> bool:
        """Ends the child; False when it had ended by itself, well."""
        os.kill(self.process, signal.SIGKILL)
        _, status = os.waitpid(self.process, 0)
        reports = os.read(self.reports, 1 << 16)
        os.close(self.reports)
        for place in range(0, len(reports), 4):
            self.work.committed = max(self.work.committed, int(reports[place : place + 4]))
        if os.WIFSIGNALED(status):
            return True
        assert os.WEXITSTATUS(status) == 0, "a writer failed"
        return False


def run(folder: Path, kills: int, writers: int, seed: int) -> dict[str, int]:
    chance = random.Random(seed)
    killed = finished = number = 0
    work = Work(folder, number)
    running: list[Writer] = []
    while killed < kills:
        while len(running) < writers:
            running.append(Writer(work))
        if chance.random() < 0.7:
            # Most kills shall hit the writing itself, also on a busy machine.
            select.select([writer.reports for writer in running], [], [], 5)
        time.sleep(chance.uniform(0, 0.04))
        killed += running.pop(chance.randrange(len(running))).kill()
        if work.look():
            # Those that waited find nothing to do.
            for writer in running:
                killed += writer.kill()
            running = []
            finished += 1
            shutil.rmtree(work.folder)
            number += 1
            work = Work(folder, number)
    for writer in running:
        writer.kill()
    return {"killed": killed, "finished": finished, "committed": work.committed}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), *map(int, sys.argv[2:]))))
