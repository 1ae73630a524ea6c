"""Reads hostile files in a process of its own, which reports what happened: JSON on stdout.

An audit hook sees every import, compilation, execution, process and connection while files are
read. Memory is the peak above what the process had before the file.
Usage: read_hostile.py FOLDER
"""

import codecs
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentmap.encoders.checkpoints.foreign import ForeignFile, open_foreign
from latentmap.encoders.checkpoints.importing import inspect_checkpoint
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError
from tests.encoders.hostile_corpus import BOMBS, INERT, REFUSED

FORBIDDEN = (
    "compile",
    "ctypes.",
    "exec",
    "import",
    "marshal.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.spawn",
    "os.system",
    "pickle.",
    "socket.",
    "subprocess.",
)


class Watch:
    """Remembers what happened while ``watching`` that reading a file has no need of."""

    def __init__(self) -> None:
        self.watching = False
        self.events: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.watching and event.startswith(FORBIDDEN):
            self.events.append(f"{event} {args!r}"[:200])


def tensors(
    value: Any, depth: int = 0, seen: set[tuple[int, int]] | None = None
) -> Iterator[TensorView]:
    """Every tensor in nested dictionaries and lists, down to where a checkpoint has them.

    What a hostile file holds a million times is looked into once at each depth.
    """
    seen = set() if seen is None else seen
    if isinstance(value, TensorView):
        yield value
    elif depth < 5 and isinstance(value, dict | list | tuple) and (id(value), depth) not in seen:
        seen.add((id(value), depth))
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part, depth + 1, seen)


def opened(path: Path) -> ForeignFile | str:
    """A file, or the message where it is refused."""
    try:
        return open_foreign(path)
    except CheckpointError as error:
        return str(error)


def loaded(file: ForeignFile) -> str | None:
    """Loads the tensors of a file, all of them at once; the message where one is refused."""
    try:
        kept = [view.load() for view in tensors(file.value)]
    except CheckpointError as error:
        return str(error)
    del kept
    return None


def read(path: Path) -> str | None:
    """Opens a file and loads its tensors; the message where it is refused."""
    file = opened(path)
    return file if isinstance(file, str) else loaded(file)


def convert(path: Path) -> str | None:
    """Describes a file and converts it; the message where it is refused."""
    try:
        checkpoint = inspect_checkpoint(path)
        json.dumps(checkpoint.describe())
        checkpoint.recognised.convert()
    except CheckpointError as error:
        return str(error)
    return None


def resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def main(folder: Path) -> None:
    path = folder / "hostile"
    cases = INERT | {name: data for name, (data, _) in REFUSED.items()}
    # Python imports an encoding when it is first used: pickles have one, names in archives another.
    codecs.lookup("raw-unicode-escape"), codecs.lookup("cp437")
    report: dict[str, Any] = {"read": {}, "bombs": {}}
    watch = Watch()
    for name, data in cases.items():
        path.write_bytes(data)
        watch.watching = True
        report["read"][name] = read(path)
        watch.watching = False
    for name, make in BOMBS.items():
        path.write_bytes(make())
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        watch.watching = True
        file = opened(path)
        message = file if isinstance(file, str) else loaded(file)
        watch.watching = False
        # What is refused when it is opened is never converted.
        if not isinstance(file, str):
            del file
            message = convert(path) or message
        report["bombs"][name] = {
            "file": path.stat().st_size,
            "memory": resident("VmHWM") - before,
            "message": message,
        }
    report["events"] = watch.events
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
