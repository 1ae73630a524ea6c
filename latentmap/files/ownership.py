"""What in a folder is ours: nothing else is ever removed, and no link is ever followed.

A folder that latentmap fills has a marker in it; a file there is ours by its name and its kind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from latentmap.errors import LatentmapError


@dataclass(frozen=True)
class Found:
    """What a folder holds, each sorted: ``ours`` are regular files with our names, ``others`` all
    the rest, such as links, folders, and files of other names.
    """

    ours: tuple[Path, ...]
    others: tuple[Path, ...]


def look_into(folder: str | Path, names: re.Pattern[str]) -> Found:
    """What a folder holds, where our files are those whose whole name is one of ``names``.

    What is missing, a link, or no folder, holds nothing.

    Raises:
        OSError: it cannot be read.
    """
    folder = Path(folder)
    if folder.is_symlink() or not folder.is_dir():
        return Found((), ())
    with os.scandir(folder) as found:
        sides: tuple[list[Path], list[Path]] = ([], [])
        for one in found:
            own = names.fullmatch(one.name) and one.is_file(follow_symlinks=False)
            sides[0 if own else 1].append(Path(one.path))
    ours, others = map(sorted, sides)
    return Found(tuple(ours), tuple(others))


def refuse_links(*folders: Path, error: type[LatentmapError]) -> None:
    """Refuses to write into folders of ours that are links: what they lead to is somebody else's.

    Raises:
        LatentmapError: of the class ``error``: one is a link.
    """
    for folder in folders:
        if folder.is_symlink():
            raise error(
                f"{folder} is a link, which is not followed: remove it, or choose another folder"
            )


def folders_in(folder: Path, names: re.Pattern[str]) -> Iterator[Path]:
    """The folders in a folder that have one of our ``names``, sorted; links are none.

    Raises:
        OSError: it cannot be read.
    """
    for path in look_into(folder, names).others:
        if names.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def size_of(files: Iterable[Path]) -> int:
    """The bytes of some files, without those that another process has renamed or removed since they
    were found.

    Raises:
        OSError: one cannot be looked at.
    """
    size = 0
    for path in files:
        with suppress(FileNotFoundError):
            size += path.lstat().st_size
    return size
