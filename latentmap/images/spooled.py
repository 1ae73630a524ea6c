"""Images as one view sees them, on disk instead of in memory: read a few at a time, in any order.

Shapes: ``n`` images ``(n, c, h, w)``, as they are stored ``(n, h, w, c)``.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import OutputError
from latentmap.images.source import ImageSource, OnError
from latentmap.images.views import View


class SpooledImages:
    """``n`` images in a file without a name: nothing is left of it when the last reference to this
    is gone, or the process is killed.

    It is indexed as a tensor of all of them would be: ``images[3:9]`` and ``images[rows]``, with
    rows int64 ``(k,)``, are float32 ``(k, c, h, w)`` in [0, 1]. ``positions`` ``(n,)`` are those
    that they have in the source, ``failed`` the positions of images that could not be read.
    """

    def __init__(
        self, file: _Unnamed, view: View, positions: np.ndarray, failed: list[int]
    ) -> None:
        self._file = file
        self._pixels = (*view.size, view.channels)
        self.positions = positions
        self.failed = failed

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(n, c, h, w)``."""
        height, width, channels = self._pixels
        return (len(self), channels, height, width)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        pixels = torch.from_numpy(self.pixels(index)).permute(0, 3, 1, 2)
        return pixels.contiguous().float().div_(255)

    def pixels(self, index: slice | Tensor) -> np.ndarray:
        """Some images as they are stored, uint8 ``(k, h, w, c)``."""
        every = np.arange(len(self))
        rows = every[index] if isinstance(index, slice) else every[index.numpy()]
        found = np.empty((len(rows), *self._pixels), np.uint8)
        # Neighbours are read at once.
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        for part, out in zip(np.split(rows, breaks), np.split(found, breaks), strict=True):
            if len(part):
                self._file.fill(out, int(part[0]) * found[:1].nbytes)
        return found


def spool_images(
    images: ImageSource,
    view: View,
    folder: str | Path,
    *,
    batch_size: int,
    on_error: OnError = "stop",
) -> SpooledImages:
    """The images of a source as ``view`` sees them, kept in a file without a name in ``folder``;
    memory holds a few batches.

    Raises:
        ImageError: an image cannot be read and ``on_error`` is ``stop``.
        OutputError: the folder has no room, or nothing can be written into it.
    """
    file = _Unnamed(Path(folder))
    positions, failed = [], []
    for batch in images.batches([view], batch_size=batch_size, on_error=on_error):
        file.append(batch.images[0].permute(0, 2, 3, 1).contiguous().numpy())
        positions.append(batch.positions)
        failed += [position for position, _ in batch.failed]
    return SpooledImages(file, view, np.concatenate(positions), failed)


class _Unnamed:
    """A file without a name in a folder, closed with this."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            raise self._refused(error) from error
        weakref.finalize(self, os.close, self._descriptor)

    def append(self, pixels: np.ndarray) -> None:
        rest = pixels.reshape(-1).data
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise self._refused(error) from error

    def fill(self, out: np.ndarray, offset: int) -> None:
        """Reads as many bytes as ``out`` has: not by a mapping, whose pages would count as memory
        of the process.
        """
        rest = out.reshape(-1).data
        while rest:
            read = os.preadv(self._descriptor, [rest], offset)
            assert read, "nobody else can shorten a file without a name"
            rest, offset = rest[read:], offset + read

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(
            f"images cannot be kept in {self._folder} while they are measured "
            f"({error.strerror or error}): make room there, or choose another folder (--cache)"
        )
