"""Fuzzes every reader of files: seeds that are as they should be, changed with chance.

    python -m tests.fuzz.run --seconds 60 --jobs 2
    python -m tests.fuzz.run --target packs --runs 100000 --keep found
    python -m tests.fuzz.run --replay found/packs__...

What counts as a failure: an error that is not ours, or whose message is not one short printable
line; a warning; a case that takes too long; memory beyond twice the file and 200 MB; anything that
is imported, executed, started, changed or opened outside of the case; the end of the process. With
failures the exit status is 1.
"""

from __future__ import annotations

import argparse
import functools
import io
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from tests.fuzz.cases import Case, read_case
from tests.fuzz.readers import Loaded, Reader
from tests.fuzz.supervising import Result, supervise
from tests.fuzz.targets import TARGETS
from tests.fuzz.working import Task, make_case

_Named = tuple[str, Callable[[], Task], range]
_MOST = 10**12
_PATIENCE = 8.0  # Seconds for a file of some kilobytes, on a machine that does other things too.


def main(
    arguments: Sequence[str] | None = None, targets: Mapping[str, Sequence[Reader]] = TARGETS
) -> int:
    """Runs the program; gives back its exit status."""
    options = _options(arguments, targets)
    torch.set_num_threads(1)  # Of threads a worker would have none: it is a fork.
    with tempfile.TemporaryDirectory() as folder:
        if options.replay is None:
            tasks = _tasks(options, targets, Path(folder))
        else:
            tasks = [_replayed(options.replay, targets, Path(folder))]
        results: dict[str, Result] = {}
        began = time.monotonic()
        for result in supervise(
            tasks,
            seconds=options.seconds,
            jobs=options.jobs,
            patience=options.patience,
            outside=outside(),
        ):
            results[result.name] = _joined(results.get(result.name), result)
            print(_line(result), flush=True)
    failures = 0
    for result in results.values():
        for signature, finding in sorted(result.findings.items()):
            failures += 1
            print(f"{finding} ({result.counts[signature]} times)")
    runs = sum(result.runs for result in results.values())
    print(f"{runs} cases in {time.monotonic() - began:.0f} s: {failures} kinds of failure")
    return 1 if failures else 0


def _options(
    arguments: Sequence[str] | None, targets: Mapping[str, Sequence[Reader]]
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--target", action="append", choices=list(targets), help="all without it")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--runs", type=int, default=_MOST, help="at most, for each target")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--patience", type=float, default=_PATIENCE, help="seconds for a case")
    parser.add_argument("--keep", type=Path, help="a folder for the cases that fail")
    parser.add_argument("--replay", type=Path, help="a folder that was kept")
    return parser.parse_args(arguments)


def _tasks(
    options: argparse.Namespace, targets: Mapping[str, Sequence[Reader]], folder: Path
) -> list[_Named]:
    """A task for each target; with more jobs than targets, several that share its cases."""
    chosen = options.target or list(targets)
    workers = max(1, options.jobs // len(chosen))
    tasks: list[_Named] = []
    for name in chosen:
        task = functools.cache(functools.partial(_task, targets[name], folder / name, options))
        tasks += [(name, task, range(first, options.runs, workers)) for first in range(workers)]
    return tasks


def _task(readers: Sequence[Reader], folder: Path, options: argparse.Namespace) -> Task:
    loaded = [load(reader, folder / reader.name) for reader in readers]
    return Task(loaded, lambda one, n: make_case(one, options.seed, n), options.seed, options.keep)


def load(reader: Reader, folder: Path) -> Loaded:
    """The reader with its seeds, which are made in a new folder."""
    folder.mkdir(parents=True)
    return Loaded(reader, reader.seeds(folder))


def _replayed(kept: Path, targets: Mapping[str, Sequence[Reader]], folder: Path) -> _Named:
    """The one case that was kept, whose folder is named by its reader."""
    name = kept.name.partition("__")[0]
    reader = next(one for readers in targets.values() for one in readers if one.name == name)

    def task() -> Task:
        loaded = load(reader, folder / name)
        return Task([loaded], lambda *_: read_case(kept), 0, None)

    return name, task, range(1)


def outside() -> Case:
    """What is not to be read: pixels and numbers, as a link out of a case might name them."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["images"] = np.zeros((6, 4, 4), np.uint8)
    return {"secret": bytes(4096), "secret.h5": stream.getvalue()}


def _joined(known: Result | None, new: Result) -> Result:
    if known is None:
        return new
    known.runs += new.runs
    known.lost += new.lost
    known.seconds += new.seconds
    known.counts += new.counts
    known.findings = {**new.findings, **known.findings}
    return known


def _line(result: Result) -> str:
    kinds = sorted({finding.failure.kind for finding in result.findings.values()})
    parts = [
        f"{result.name:<10} {result.runs:>9} cases",
        f"{result.runs / max(result.seconds, 1e-9):>6.0f} a second of processor time",
        f"{len(result.findings)} kinds of failure" + (f" ({', '.join(kinds)})" if kinds else ""),
    ]
    if result.lost:
        parts.append(f"{result.lost} more could not be made")
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
