"""Supervising: workers are started, watched, ended when a file holds them, and started again."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.cases import Case, Place, read_case
from tests.fuzz.examining import Failure
from tests.fuzz.watching import OURS
from tests.fuzz.working import Finding, State, Task, report, work

_BROKEN = 70  # A worker ends with it when the harness itself is at fault.
_WARM = 60.0  # Seconds, for the seeds of a target and for a case to be made.
_CLOCK = 4  # Times the patience, of the clock on the wall.
_LINE = re.compile(r'File "(.*)", line (\d+)')


@dataclass
class Result:
    """How a target did: cases that were read, those that were lost because a library failed while
    they were made, seconds of the processor that workers took, and what was found.
    """

    name: str
    runs: int = 0
    lost: int = 0
    seconds: float = 0.0
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    findings: dict[tuple[str, ...], Finding] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Counts a finding; the first of its kind stands for it."""
        self.counts[finding.signature] += 1
        self.findings.setdefault(finding.signature, finding)


@dataclass
class _Worker:
    task: Task
    numbers: range
    until: float
    result: Result
    place: Place
    state: State = field(default_factory=State)
    process: int = 0


def supervise(
    tasks: Sequence[tuple[str, Callable[[], Task], range]],
    *,
    seconds: float,
    jobs: int,
    patience: float,
    outside: Case,
) -> Iterator[Result]:
    """Does every task, so many at a time, each for at most so many ``seconds``; a case that takes
    more than ``patience`` seconds is a finding.
    """
    waiting, running = list(tasks), list[_Worker]()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                name, make, numbers = waiting.pop(0)
                place = Place(Path(folder) / f"{len(tasks) - len(waiting)}")
                place.prepare(outside)
                worker = _Worker(make(), numbers, time.monotonic() + seconds, Result(name), place)
                running.append(worker)
                _start(worker)
            time.sleep(0.02)
            for worker in list(running):
                if _look_after(worker, patience):
                    running.remove(worker)
                    yield _collected(worker)


def _start(worker: _Worker) -> None:
    sys.stdout.flush()
    worker.state.set(worker.numbers.start, reading=False)
    worker.process = os.fork()
    if worker.process:
        return
    code = _BROKEN
    try:
        os.setsid()
        # Libraries write there.
        os.dup2(os.open(worker.place.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        work(
            worker.task, worker.numbers, until=worker.until, state=worker.state, place=worker.place
        )
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _look_after(worker: _Worker, patience: float) -> bool:
    """Whether the worker is done, for good."""
    process, status, usage = os.wait4(worker.process, os.WNOHANG)
    number, _, _, reading = worker.state.get()
    if not process:
        if not _is_held(worker, patience):
            return False
        # Tells where it is; then it is ended, wherever that is.
        os.kill(worker.process, signal.SIGUSR1)
        time.sleep(0.2)
        os.kill(worker.process, signal.SIGKILL)
        usage = os.wait4(worker.process, 0)[2]
    elif os.WIFEXITED(status) and os.WEXITSTATUS(status):
        said = worker.place.errors.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"the harness failed at case {number} of {worker.result.name}: {said}")
    worker.result.seconds += usage.ru_utime + usage.ru_stime
    worker.result.runs += len(range(worker.numbers.start, number, worker.numbers.step))
    if os.WIFEXITED(status) and process:
        return True
    if not reading:
        worker.result.lost += 1
    else:
        worker.result.runs += 1
        signalled = signal.Signals(os.WTERMSIG(status)).name if process else ""
        what = ("crash", signalled) if process else ("hang", f"{patience:g} seconds")
        failure = Failure(*what, _where(worker.place.traces))
        name = worker.task.reader(number).reader.name
        finding = Finding(name, failure, worker.task.seed, number)
        report(worker.task, worker.place, finding, read_case(worker.place.case))
    worker.numbers = range(number, worker.numbers.stop, worker.numbers.step)[1:]
    if not len(worker.numbers) or time.monotonic() > worker.until:
        return True
    _start(worker)
    return False


def _is_held(worker: _Worker, patience: float) -> bool:
    """Whether one case takes too long: the processor's time, or far more of the clock's, which
    others have a part in.
    """
    _, since, before, reading = worker.state.get()
    if not reading:
        return time.monotonic() - since > _WARM
    # The clock of another process, as Linux names it.
    took = time.clock_gettime(~worker.process << 3 | 2) - before
    return took > patience or time.monotonic() - since > _CLOCK * patience


def _where(traces: Path) -> str:
    """The innermost place in our own code that the last trace names."""
    found = _LINE.findall(traces.read_text(errors="replace"))
    ours = [(name, line) for name, line in found if name.startswith(OURS)]
    name, line = (ours or found or [("nowhere", "0")])[0]
    return f"{Path(name).name}:{line}"


def _collected(worker: _Worker) -> Result:
    for line in worker.place.findings.read_text().splitlines():
        found = json.loads(line)
        worker.result.add(Finding(**{**found, "failure": Failure(*found["failure"])}))
    return worker.result
