"""Names that stand for several files: numbers in a range, ``faces-{000..099}.tar``."""

from __future__ import annotations

import itertools
import math
import re

from latentmap.errors import LatentmapError

MOST_FILES = 100_000
_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")


def has_range(name: str) -> bool:
    """Whether a name has a range of numbers in it."""
    return _RANGE.search(name) is not None


def numbered_names(name: str, error: type[LatentmapError]) -> list[str]:
    """The names that a name with ranges stands for, in the order of their numbers, which have as
    many digits as the first one; without a range it is that name alone.

    Raises:
        LatentmapError: of the class ``error``: they are none, or too many.

    Example:
        >>> from latentmap.errors import ImageError
        >>> numbered_names("a-{08..10}.tar", ImageError)
        ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    parts = _RANGE.split(name)
    texts, firsts, lasts = parts[::3], parts[1::3], parts[2::3]
    bounds = [(int(first), int(last) + 1) for first, last in zip(firsts, lasts, strict=True)]
    counts = [stop - start for start, stop in bounds]
    if min(counts, default=1) < 1 or math.prod(counts) > MOST_FILES:
        raise error(
            f"{name} must name 1 to {MOST_FILES:,} files, from a number to one that is not smaller"
        )
    numbers = [
        [f"{number:0{len(first)}}" for number in range(start, stop)]
        for first, (start, stop) in zip(firsts, bounds, strict=True)
    ]
    return [
        "".join(itertools.chain.from_iterable(zip(texts, (*chosen, ""), strict=True)))
        for chosen in itertools.product(*numbers)
    ]
