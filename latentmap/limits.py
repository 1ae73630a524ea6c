"""How much a file may ask for: the one table of limits.

A small file can ask for any amount of memory and time, as a picture of one colour does. So what is
read is bounded by what honest files need, and who has such a file raises the limit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from latentmap.errors import LatentmapError


class Limit(NamedTuple):
    """The ``most`` that is taken, in ``unit``, and the ``reason`` for that number."""

    most: int
    unit: str
    reason: str


LIMITS = {
    "memory": Limit(
        200_000_000,
        "bytes, beside twice the size of the file",
        "what the libraries that read files take for themselves, and a picture of 20 million "
        "pixels",
    ),
    "unpacked": Limit(
        100,
        "bytes on the disk for each byte of a compressed tar archive, beside 200 MB",
        "no archive of photographs takes twice its size unpacked, one of drawings 20 times",
    ),
    "seconds": Limit(
        20,
        "seconds for the look into a file, and a second for each 50 MB of it",
        "a look into an HDF5 file of 20,000 datasets takes a sixth of this",
    ),
}

# The most that deflate, which zip and gzip use, can make of a byte.
DEFLATE = 1032

# Those that hold now, of the whole process: images are decoded in many threads.
_now = {name: one.most for name, one in LIMITS.items()}


def limit(name: str) -> int:
    """The limit of a name in ``LIMITS`` that holds now."""
    return _now[name]


def advice(name: str) -> str:
    """What to do where a file is honest and larger than that."""
    return f"if that is right, raise the limit: latentmap --limit {name}=N ..., now {limit(name)}"


def memory_for(size: int) -> int:
    """Bytes of memory that a file of so many bytes may ask for."""
    return 2 * size + limit("memory")


class Allowance:
    """Bytes of memory that the file ``title``, of ``size`` bytes, may still ask for."""

    def __init__(self, title: str, size: int, error: type[LatentmapError]) -> None:
        self.title = title
        self._left = memory_for(size)
        self._error = error

    def spend(self, size: int, what: str) -> None:
        """Takes ``size`` bytes for ``what``.

        Raises:
            LatentmapError: of the class ``error``: they are more than what is left.
        """
        self._left -= size
        if self._left < 0:
            raise self._error(
                f"{self.title} asks for more memory than a file of its size may ({what}): "
                f"{advice('memory')}"
            )


@contextmanager
def raised_limits(limits: Mapping[str, int]) -> Iterator[None]:
    """Other limits for a block of code, in all threads.

    Raises:
        ValueError: a name is not in ``LIMITS``, or a limit is not positive.
    """
    for name, most in limits.items():
        if name not in LIMITS:
            raise ValueError(f"there is no limit {name!r}: choose one of {', '.join(LIMITS)}")
        if most < 1:
            raise ValueError(f"the limit {name} must be positive, not {most}")
    before = dict(_now)
    _now.update(limits)
    try:
        yield
    finally:
        _now.update(before)


def available_memory() -> int:
    """Bytes of memory that are free for a program, or all there are where nobody says."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
