"""Locks: one process at a time changes an entry; the system frees the lock of one that dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from latentmap.errors import CacheError

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
