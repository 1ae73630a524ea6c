"""Workers: processes that make cases, read them, and judge what happened."""

from __future__ import annotations

import json
import mmap
import random
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from latentmap.limits import raised_limits
from tests.fuzz.byte_changes import change_bytes
from tests.fuzz.cases import Case, Place, Special, write_case
from tests.fuzz.examining import Examiner, Failure
from tests.fuzz.readers import Loaded

_LARGEST = 1 << 20  # Of a file: what is small is read often.
_SECONDS = 2  # That a reader may take by its own limit: soon enough to be no hang here.
_STATE = struct.Struct("<Qdd?")


@dataclass(frozen=True)
class Finding:
    """A failure of a ``reader``, and which case it was."""

    reader: str
    failure: Failure
    seed: int
    number: int

    @property
    def signature(self) -> tuple[str, str, str, str]:
        """Equal for failures that are one."""
        return (self.reader, *self.failure[:3])

    @property
    def name(self) -> str:
        """A name for a folder."""
        parts = (*self.signature, str(self.seed), str(self.number))
        return "__".join("".join(c if c.isalnum() else "-" for c in part) for part in parts)

    def __str__(self) -> str:
        failure = self.failure
        return (
            f"{failure.kind}: {self.reader}: {failure.what} at {failure.place or 'no place'}, "
            f"{self.name}: {failure.detail}"
        )


class State:
    """What a worker is at, where its supervisor sees it: the number of a case, since when by the
    clock and by the processor's time, and whether it is read, or else made.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    def set(self, number: int, *, reading: bool) -> None:
        self._shared[: _STATE.size] = _STATE.pack(
            number, time.monotonic(), time.process_time(), reading
        )

    def get(self) -> tuple[int, float, float, bool]:
        number, since, before, reading = _STATE.unpack(self._shared[: _STATE.size])
        return number, since, before, reading


def make_case(loaded: Loaded, seed: int, number: int) -> Case:
    """The case of a number: the same each time."""
    chance = random.Random(f"{loaded.reader.name} {seed} {number}")
    case = dict(chance.choice(loaded.seeds))
    for _ in range(1 << chance.choice((0, 0, 0, 1))):
        name = chance.choice(list(case))
        content = change_file(loaded, chance, name, case[name])
        case[name] = content[:_LARGEST] if isinstance(content, bytes) else content
    if loaded.reader.finish is not None:
        return loaded.reader.finish(chance, case)
    return case


def change_file(
    loaded: Loaded, chance: random.Random, name: str, content: bytes | Special
) -> bytes | Special:
    if not isinstance(content, bytes) or chance.random() < 0.005:
        return chance.choice(list(Special))
    if chance.random() < 0.9:
        for end, change in loaded.reader.changes:
            if name.endswith(end):
                try:
                    return change(chance, content)
                except Exception:  # Changed before, so that its format is no more.
                    break
    return change_bytes(chance, content)


@dataclass(frozen=True)
class Task:
    """Cases by their numbers, the same each time: that of a number is for the reader in its place
    among ``readers``, over and over. ``keep`` is a folder for those that are found to fail.
    """

    readers: Sequence[Loaded]
    make: Callable[[Loaded, int], Case]
    seed: int
    keep: Path | None

    def reader(self, number: int) -> Loaded:
        """Which reader the case of a number is for."""
        return self.readers[number % len(self.readers)]


def work(task: Task, numbers: range, *, until: float, state: State, place: Place) -> None:
    """Reads the cases of these numbers until the time is over; what is found stands in a file."""
    examiner = Examiner(place)
    examiner.warm_up(task.readers)
    with raised_limits({"seconds": _SECONDS}):
        _work(task, numbers, until, state, place, examiner)


def _work(
    task: Task, numbers: range, until: float, state: State, place: Place, examiner: Examiner
) -> None:
    known: set[tuple[str, ...]] = set()
    for number in numbers:
        if time.monotonic() > until:
            break
        state.set(number, reading=False)
        loaded = task.reader(number)
        case = task.make(loaded, number)
        write_case(case, place.case)
        for use in range(len(loaded.reader.uses)):
            state.set(number, reading=True)
            found = examiner.examine(loaded, use, case)
            state.set(number, reading=False)
            for failure in found:
                finding = Finding(loaded.reader.name, failure, task.seed, number)
                report(task, place, finding, None if finding.signature in known else case)
                known.add(finding.signature)
    else:
        number = numbers.stop
    state.set(number, reading=False)


def report(task: Task, place: Place, finding: Finding, case: Case | None) -> None:
    """Adds a finding to the file of a worker, and keeps the case that it is of."""
    with place.findings.open("a") as file:
        file.write(json.dumps(asdict(finding)) + "\n")
    if task.keep is not None and case is not None:
        write_case(case, task.keep / finding.name)
