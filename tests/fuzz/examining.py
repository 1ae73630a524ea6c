"""Examining: a use of a reader is called, and what it did that it must not is told."""

from __future__ import annotations

import ast
import codecs
import faulthandler
import importlib
import signal
import subprocess
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from PIL import Image

from latentmap.errors import LatentmapError
from latentmap.files import hdf5_process
from latentmap.printing import printable
from tests.fuzz.cases import Case, Place, size_of, write_case
from tests.fuzz.forking import forks
from tests.fuzz.readers import Loaded
from tests.fuzz.watching import OURS, Memory, Secret, Watch

_MEMORY = 200 * 10**6  # Beside twice the file.
_LONGEST = 600  # Letters of a message, with the path of the file.
# Python imports them when they are first used.
_ENCODINGS = "ascii cp437 raw-unicode-escape unicode-escape utf-16 utf-16-be utf-32".split()


class Failure(NamedTuple):
    """What must not be: the ``kind``, ``what`` in a few words, and the ``place`` in our code."""

    kind: str
    what: str
    place: str
    detail: str = ""


class Examiner:
    """Calls uses of readers, and tells what they did that they must not."""

    def __init__(self, place: Place) -> None:
        tempfile.tempdir = str(place.temporary)
        self._traces = place.traces.open("w")
        faulthandler.enable(self._traces)
        faulthandler.register(signal.SIGUSR1, self._traces)
        self._warned: list[str] = []
        warnings.simplefilter("default")
        warnings.showwarning = self._warn  # type: ignore[assignment]  # Of any arguments.
        self._place = place
        self._memory = Memory()
        self._secret = Secret(place.folder / "within" / "outside")
        folders = [place.case, *map(Path, OURS)]
        self._watch = Watch(folders, place.temporary)
        self._forks = forks(hdf5_process._search_path())

    def _warn(self, message: Any, category: Any, filename: str, lineno: int, *_: Any) -> None:
        self._warned.append(f"{category.__name__} {Path(filename).name} {lineno}")

    def warm_up(self, readers: Sequence[Loaded]) -> None:
        """Reads every seed, so that what is imported when it is first used is there. From then on
        processes that look into HDF5 files are forks, for they are started by the thousand.
        """
        for name in _ENCODINGS:
            codecs.lookup(name)
        Image.init()
        importlib.import_module("jinja2.debug")
        for loaded in readers:
            for case in loaded.seeds:
                write_case(case, self._place.case)
                for use in loaded.reader.uses:
                    with suppress(LatentmapError):
                        use(self._place.case)
        here = SimpleNamespace(**{**vars(subprocess), "Popen": self._forks})
        vars(hdf5_process)["subprocess"] = here

    def examine(self, loaded: Loaded, use: int, case: Case) -> list[Failure]:
        """What a use of a reader did, with the case at its place, that it must not."""
        error: BaseException | None = None
        self._warned.clear()  # By what made the case.
        self._memory.begin()
        self._watch.on = True
        try:
            loaded.reader.uses[use](self._place.case)
        except BaseException as raised:
            error = raised
        self._watch.on = False
        taken = self._memory.taken()
        place = _place(error)
        found = [] if error is None else _judge(error)
        if taken > 2 * size_of(case) + _MEMORY:
            step = taken >> 28 << 28
            found.append(Failure("memory", f"over {step >> 20} MB", place, f"{taken >> 20} MB"))
        if self._watch.event is not None:
            found.append(Failure("execution", *self._watch.event))
            self._watch.event = None
        if self._secret.was_opened():
            found.append(Failure("execution", "opened a file outside", place, _line(str(error))))
        return [*found, *(Failure("warning", said, place) for said in self._warned)]


def _judge(error: BaseException) -> list[Failure]:
    """What is wrong with an error."""
    place, message = _place(error), str(error)
    if not isinstance(error, LatentmapError):
        said = _line(f"{type(error).__name__}: {message}")
        return [Failure("traceback", type(error).__name__, place, said)]
    wrong = {
        "of several lines": len(message.splitlines()) != 1,
        "not printable": not message.isprintable(),
        "too long": len(message) > _LONGEST,
    }
    found = [Failure("message", said, place, _line(message)) for said, so in wrong.items() if so]
    # Whoever turns this into a message has asked for more than there is first.
    cause: BaseException | None = error
    while cause is not None:
        if _is_lack_of_memory(cause):
            found.append(Failure("memory", "asked for too much", _place(cause), _line(repr(cause))))
            break
        cause = cause.__cause__ or cause.__context__
    return found


def _is_lack_of_memory(cause: BaseException) -> bool:
    # Python's parser says so of what is nested too deeply.
    parsed = traceback.extract_tb(cause.__traceback__)[-1:]
    if any(Path(frame.filename) == Path(ast.__file__) for frame in parsed):
        return False
    return isinstance(cause, MemoryError) or "allocate memory" in str(cause)


def _line(text: str) -> str:
    return printable(text[:300])


def _place(error: BaseException | None) -> str:
    """The innermost place in our own code."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    ours = [frame for frame in frames if frame.filename.startswith(OURS)] or frames[-1:]
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
