"""Sums: small results of parts of a data set, which workers put into a cache until all are there::

    CACHE/sums/<16 hex digits of the task>/part-000012.safetensors

The order of the variables that the explorer has measured is kept as one, too, a task of one part.

A file is there whole or not at all, and holds the digest of its content; the same part may be made
twice. Nobody needs a lock for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from latentmap.cache.storage import advice_on
from latentmap.errors import CacheError
from latentmap.files import TEMPORARY, folders_in, look_into, refuse_links
from latentmap.files.tensor_file import TensorFile

if TYPE_CHECKING:
    from torch import Tensor

SUMS = "sums"
SUM_NAME = re.compile(r"[0-9a-f]{16}")
_PART = re.compile(rf"part-\d{{6,}}\.safetensors|\.part-\d{{6,}}{TEMPORARY}\.safetensors")
_FILE = TensorFile("file of sums", 1, CacheError, "run the same command again", sealed=True)


class Sums:
    """The files of the ``count`` parts of a task."""

    def __init__(self, cache: Path, task: str, count: int) -> None:
        self.path = cache / SUMS / task
        self._task, self._count = task, count

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """The tensors of all parts, in order.

        Raises:
            CacheError: one is missing or damaged.
        """
        for number in range(self._count):
            yield self._read(number)

    def has(self, number: int) -> bool:
        """Whether a part is there, as it was written; one that is damaged is removed."""
        path = self._part(number)
        if not path.is_file():
            return False
        try:
            self._read(number)
        except CacheError:
            with suppress(OSError):
                path.unlink()
            return False
        return True

    def missing(self) -> list[int]:
        """The parts that are not there."""
        return [number for number in range(self._count) if not self.has(number)]

    def write(self, number: int, tensors: dict[str, Tensor]) -> None:
        """Puts a part there, whole or not at all.

        Raises:
            CacheError, OutputError: the disk is full or broken.
        """
        refuse_links(self.path.parent, self.path, error=CacheError)
        try:
            self.path.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(
                f"{self.path} cannot be made ({error.strerror or error}); {advice_on(error)}"
            ) from error
        _FILE.write(self._part(number), tensors, {"task": self._task, "part": number})

    def _read(self, number: int) -> dict[str, Tensor]:
        header, tensors = _FILE.read(self._part(number))
        if (header.get("task"), header.get("part")) != (self._task, number):
            raise CacheError(
                f"{self._part(number)} is of part {header.get('part')} of the task "
                f"{header.get('task')}: run the same command again"
            )
        return tensors

    def remove(self) -> None:
        """Removes all parts."""
        _remove(self.path)

    def _part(self, number: int) -> Path:
        return self.path / f"part-{number:06d}.safetensors"


def remove_sums(cache: Path) -> None:
    """Removes what workers have summed in a cache, of all tasks."""
    for folder in folders_in(cache / SUMS, SUM_NAME):
        _remove(folder)


def _remove(folder: Path) -> None:
    """Removes the parts in a folder, and the folder where nothing else is in it."""
    with suppress(OSError):
        for path in look_into(folder, _PART).ours:
            path.unlink()
        folder.rmdir()
