"""Cases: the files that a reader is given, as values."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Special(Enum):
    """What may lie where a file should."""

    FOLDER = "a folder"
    FIFO = "a pipe that nobody writes into"
    DEVICE = "a link to a device that never ends"
    LOOP = "a link to itself"
    MISSING = "nothing"


# Relative paths and what lies there.
Case = Mapping[str, bytes | Special]


def read_case(folder: Path) -> Case:
    """What lies in a folder, and in those in it."""
    return dict(_read(folder, ""))


def _read(folder: Path, prefix: str) -> Iterator[tuple[str, bytes | Special]]:
    for path in sorted(folder.iterdir()):
        name = prefix + path.name
        if path.is_symlink():
            yield name, Special.DEVICE if path.readlink().is_absolute() else Special.LOOP
        elif path.is_fifo():
            yield name, Special.FIFO
        elif path.is_file():
            yield name, path.read_bytes()
        elif any(path.iterdir()):
            yield from _read(path, f"{name}/")
        else:
            yield name, Special.FOLDER


def write_case(case: Case, folder: Path) -> None:
    """Makes the folder anew with these files."""
    if folder.exists():
        _empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in case.items():
        path = folder / name
        if path.parent != folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case bytes():
                path.write_bytes(content)
            case Special.FOLDER:
                path.mkdir()
            case Special.FIFO:
                os.mkfifo(path)
            case Special.DEVICE:
                path.symlink_to("/dev/zero")
            case Special.LOOP:
                path.symlink_to(path.name)


def size_of(case: Case) -> int:
    """Bytes of all files."""
    return sum(len(content) for content in case.values() if isinstance(content, bytes))


def _empty(folder: Path) -> None:
    with os.scandir(folder) as found:
        for one in found:
            if one.is_dir(follow_symlinks=False):
                shutil.rmtree(one.path)
            else:
                Path(one.path).unlink()


@dataclass(frozen=True)
class Place:
    """The folders of a worker: ``case`` is made anew for each, ``findings`` is a file of lines."""

    folder: Path

    @property
    def case(self) -> Path:
        return self.folder / "within" / "case"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def findings(self) -> Path:
        return self.folder / "findings"

    @property
    def errors(self) -> Path:
        return self.folder / "errors"

    @property
    def traces(self) -> Path:
        return self.folder / "traces"

    def prepare(self, outside: Case) -> None:
        """Makes the folders, and what lies outside of the case."""
        self.case.mkdir(parents=True)
        self.temporary.mkdir()
        self.findings.touch()
        write_case(outside, self.folder / "within" / "outside")
