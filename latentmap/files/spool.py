"""Spools: what is unpacked from a file of a stranger, on disk, without a name and with an end."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from latentmap.errors import LatentmapError
from latentmap.limits import advice, limit

_SMALL = 200_000_000  # Of small files, whose headers alone pack so well.


class Spool:
    """A file without a name in the folder for temporary files: nothing is left of it when the last
    reference to this is gone, or the process is killed.

    It takes what is unpacked from ``title``, a file of ``size`` bytes, as long as that is no more
    than such a file may hold and half of what is free on the disk. ``elsewhere`` is what to do
    where there is no room. ``descriptor`` is open for reading at any place.
    """

    def __init__(
        self, title: str, size: int, error: type[LatentmapError], *, elsewhere: str
    ) -> None:
        self._title, self._packed, self._error, self._elsewhere = title, size, error, elsewhere
        self._folder = tempfile.gettempdir()
        self._most = limit("unpacked") * size + _SMALL
        self._free = shutil.disk_usage(self._folder).free // 2
        self.size = 0
        with tempfile.TemporaryFile() as file:
            self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)

    def write(self, data: Any) -> None:
        """Puts bytes behind those that are there.

        Raises:
            LatentmapError: of the class that was given: they are too many.
            OSError: the disk does not take them.
        """
        rest = memoryview(data).cast("B")
        self.require_room(len(rest))
        self.size += len(rest)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def require_room(self, size: int) -> None:
        """Refuses so many bytes more, before they are made.

        Raises:
            LatentmapError: of the class that was given: they are too many.
        """
        whole = self.size + size
        if whole > min(self._free, self._most):
            if self._free < self._most:
                raise self._error(
                    f"{self._title} takes more than half of what is free in {self._folder}: "
                    f"{self._elsewhere}, or set TMPDIR to a larger disk"
                )
            raise self._error(
                f"{self._title} takes more than {self._most} bytes unpacked, from {self._packed}: "
                f"{advice('unpacked')}"
            )


def spool_of(path: Path, error: type[LatentmapError], *, elsewhere: str) -> Spool:
    """A spool for what is unpacked from the file at ``path``.

    Raises:
        OSError: there is no such file, or no folder for temporary files.
    """
    return Spool(str(path), path.stat().st_size, error, elsewhere=elsewhere)
