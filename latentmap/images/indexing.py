"""Indexing: a folder of any number of images is listed into an index file, in little memory.

Its paths are sorted in runs, which lie in files without names beside the index, and merged.
"""

from __future__ import annotations

import heapq
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

from latentmap.errors import ImageError
from latentmap.files import replace_atomic
from latentmap.images.formats import is_image_name, no_images
from latentmap.images.index_file import FORMAT, STEP, VERSION
from latentmap.images.naming import natural_text
from latentmap.images.walking import files_in
from latentmap.printing import printable
from latentmap.progress import Progress

_RUN = 250_000  # Paths that are sorted in memory: some 80 MB.
_MOST = 256  # Runs that are open at a time.
_NAMED = 6  # Other files that are named where there is no image.


@dataclass
class Indexed:
    """What a folder held: how many ``images``, and how many files that are ``others``."""

    images: int = 0
    others: int = 0
    named: list[str] = field(default_factory=list)


def write_index(folder: Path, out: Path, *, progress: Progress | None = None) -> Indexed:
    """Lists the images of a folder, and of the folders in it, in the file ``out``.

    How many were written of all that were found is told to ``progress``.

    Raises:
        ImageError: the folder cannot be read, or holds no images, or one whose name has a line
            break.
        OutputError: the file cannot be written.
    """
    found = Indexed()
    with replace_atomic(out) as temporary, ExitStack() as stack:

        def run_of(lines: Iterable[bytes]) -> IO[bytes]:
            run = stack.enter_context(tempfile.TemporaryFile(dir=temporary.parent))
            run.writelines(lines)
            run.seek(0)
            return run

        runs: list[IO[bytes]] = []
        size = 0
        for some in _parted(_images(folder, found)):
            some.sort(key=natural_text)
            lines = [os.fsencode(name) + b"\n" for name in some]
            size += sum(map(len, lines))
            runs.append(run_of(lines))
            if len(runs) == _MOST:
                merged = run_of(_merged(runs))
                for run in runs:
                    run.close()
                runs = [merged]
        if not found.images:
            raise no_images(str(folder), found.named)
        head = {
            "format": FORMAT,
            "version": VERSION,
            "folder": _folder_from(folder, out),
            "images": found.images,
            "bytes": size,
        }
        with temporary.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            places, place = [], 0
            for number, line in enumerate(_merged(runs)):
                if number % STEP == 0:
                    places.append(place)
                    if progress:
                        progress(number, found.images)
                file.write(line)
                place += len(line)
            file.write(json.dumps({"places": places}).encode() + b"\n")
    return found


def _images(folder: Path, found: Indexed) -> Iterator[str]:
    """The paths of images in a folder, which are counted."""
    for path in files_in(folder):
        if not is_image_name(path):
            found.others += 1
            if len(found.named) < _NAMED:
                found.named.append(path)
            continue
        if "\n" in path:
            raise ImageError(
                f"{folder} holds {printable(path)!r}, whose name has a line break, which no index "
                "can hold: rename it"
            )
        found.images += 1
        yield path


def _parted(names: Iterator[str]) -> Iterator[list[str]]:
    while some := list(islice(names, _RUN)):
        yield some


def _merged(runs: list[IO[bytes]]) -> Iterator[bytes]:
    return heapq.merge(*runs, key=lambda line: natural_text(os.fsdecode(line[:-1])))


def _folder_from(folder: Path, out: Path) -> str:
    """A folder as it is seen from that of an index, where it lies in it, so that both may be
    moved; else its whole path.
    """
    whole, beside = folder.absolute(), out.absolute().parent
    return str(whole.relative_to(beside) if whole.is_relative_to(beside) else whole)
