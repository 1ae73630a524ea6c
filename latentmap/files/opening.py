"""Opening files to read: regular files alone, since others may have no end, or wait for ever."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, NamedTuple

from latentmap.printing import encodable

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class Identity(NamedTuple):
    """Which file it is, and whether somebody has written to it."""

    disk: int
    inode: int
    size: int
    written: int


def open_regular(path: str | Path) -> BufferedReader:
    """A regular file, or what a link to one leads to, open for reading its bytes.

    Raises:
        OSError: there is none, it cannot be read, or it is no regular file.
    """
    # Looked at before it is opened: opening a pipe waits, and opening a device may do something.
    _require_regular(path)
    return Path(path).open("rb")


def read_regular(path: str | Path) -> bytes:
    """The bytes of a regular file; raises as ``open_regular`` does."""
    with open_regular(path) as file:
        return file.read()


def identity_of(file: IO[bytes]) -> Identity:
    """The identity of an open file."""
    status = os.fstat(file.fileno())
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def named_in_utf8(path: str | Path) -> Iterator[str | Path]:
    """A name of a regular file for a library that takes no other names: its own, or that of its
    descriptor.

    Raises:
        OSError: as ``open_regular``.
    """
    with open_regular(path) as file:
        plain = encodable(str(path)) == str(path)
        yield path if plain else f"/dev/fd/{file.fileno()}"


def _require_regular(path: str | Path) -> None:
    """Refuses what is no regular file, before another library opens it.

    Raises:
        OSError: it is none, or is not there; a folder is an ``IsADirectoryError``.
    """
    mode = Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(
            errno.EINVAL, f"it is {kind}, not a regular file: save it as one first", str(path)
        )
