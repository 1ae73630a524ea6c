"""Locks: one process at a time changes an entry, or a file; the system frees the lock of one that
dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from latentmap.errors import CacheError, OutputError

Notify = Callable[[str], None]


@contextmanager
def hold_lock(
    path: Path, what: str, *, timeout: float | None, notify: Notify | None = None
) -> Iterator[None]:
    """Holds the lock file ``path`` for the length of the block.

    ``notify`` is told once, when the lock is not free; ``timeout`` is in seconds, None waits as
    long as it takes.

    Raises:
        CacheError: the lock was not free in time.
    """
    from filelock import FileLock, Timeout

    # Not bound to a thread: a writer may be closed by another one than opened it.
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if notify:
            notify(f"another process is writing {what}: waiting for it")
        try:
            lock.acquire(timeout=-1 if timeout is None else timeout)
        except Timeout:
            raise CacheError(
                f"{what} is still being written by another process after {timeout:g} s: "
                "wait until it ends, or stop it"
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def hold_file(path: str | Path) -> Iterator[None]:
    """Holds a file that is read, changed and replaced in the block, as long as it takes; so of two
    that change it neither is lost.

    The file is its own lock, so that none is left beside it. Whoever waited for a file that was
    replaced meanwhile waits for the new one.

    Raises:
        OutputError: it is missing, or cannot be written.
    """
    path = Path(path)
    while True:
        try:
            file = path.open("rb+")
        except OSError as error:
            raise OutputError(f"{path} cannot be changed: {error.strerror}") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file.fileno()):
                yield
                return


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
