"""Writing HDF5 so that a full disk is an ordinary error.

When a write fails, HDF5 prints it several times, cannot close the file and may end the program with
it (a segmentation fault at exit, seen with HDF5 2.0). So HDF5 is never told: it writes through
``SafeFile``, which keeps the first error and takes the rest without writing.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py


class SafeFile(io.RawIOBase):
    """A file that never fails; ``check`` raises what went wrong first."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        """Raises the first error of the disk, if there was one.

        Raises:
            OSError: what the disk said.
        """
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self._error is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def create_hdf5(path: Path) -> Iterator[tuple[h5py.File, SafeFile]]:
    """A new HDF5 file, and the file under it: its ``check`` tells early whether the disk is full.

    Raises:
        OSError: on leaving, when the disk failed at any time.
    """
    import h5py  # What writes no HDF5 does not wait for it.

    # Opened first: a SafeFile without a file could not be closed, which Python 3.13 would print.
    with SafeFile(path.open("w+b", buffering=0)) as disk:
        with h5py.File(disk, "w") as file:
            yield file, disk
        disk.check()
