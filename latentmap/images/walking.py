"""The files of a folder and the folders in it, one after the other, however many there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from latentmap.errors import ImageError
from latentmap.images.naming import is_ignored


def files_in(folder: Path) -> Iterator[str]:
    """The relative paths of all files but those that systems leave behind; of linked folders too,
    but not in circles. In memory are the names of folders alone.

    Raises:
        ImageError: a folder cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    left = [""]
    while left:
        prefix = left.pop()
        inner = []
        try:
            where = os.stat(folder / prefix)  # noqa: PTH116  # as what os.scandir gives
            if (where.st_dev, where.st_ino) in seen:
                continue
            seen.add((where.st_dev, where.st_ino))
            with os.scandir(folder / prefix) as found:
                for entry in found:
                    path = prefix + entry.name
                    if entry.is_dir():
                        inner.append(f"{path}/")
                    elif not is_ignored(path):
                        yield path
        except OSError as error:
            raise ImageError(f"{error.filename} cannot be read: {error.strerror}") from error
        left += reversed(inner)
