"""Readers with a fault of each kind, which the harness must find."""

from __future__ import annotations

import ctypes
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from latentmap.errors import ImageError
from tests.fuzz.cases import Case
from tests.fuzz.readers import Reader


def _seeds(_: Path) -> list[Case]:
    return [{"file": b"sound"}]


def _changed(chance: Random, data: bytes) -> bytes:
    return data + chance.randbytes(1)


def _raise(folder: Path) -> None:
    raise KeyError("file")


def _say(folder: Path) -> None:
    error = ImageError("")
    error.args = ("two\nlines",)  # Past what sees to it.
    raise error


def _warn(folder: Path) -> None:
    warnings.warn("careful", stacklevel=1)


def _wait(folder: Path) -> None:
    time.sleep(60)


def _fill(folder: Path) -> None:
    np.ones(220 * 10**6, np.uint8)


def _ask(folder: Path) -> None:
    try:
        np.zeros(10**15)
    except MemoryError:
        raise ImageError("it needs too much") from None


def _run(folder: Path) -> None:
    os.system("true")


def _leave(folder: Path) -> None:
    (folder.parent / "outside" / "secret").read_bytes()


def _write(folder: Path) -> None:
    (folder / "new").write_bytes(b"")


def _crash(folder: Path) -> None:
    ctypes.string_at(0)


# What the harness must say of each, where it says one thing.
FAULTS = {
    "raise": (_raise, "traceback"),
    "say": (_say, "message"),
    "warn": (_warn, "warning"),
    "wait": (_wait, "hang"),
    "fill": (_fill, "memory"),
    "ask": (_ask, "memory"),
    "run": (_run, "execution"),
    "leave": (_leave, "execution"),
    "write": (_write, "execution"),
    "crash": (_crash, "crash"),
}


def _after_a_change(use: Callable[[Path], None]) -> Callable[[Path], None]:
    def called(folder: Path) -> None:
        path = folder / "file"
        if not path.is_file() or path.read_bytes() != b"sound":
            use(folder)

    return called


PLANTED = {
    name: (Reader(name, _seeds, (_after_a_change(use),), (("file", _changed),)),)
    for name, (use, _) in FAULTS.items()
}
