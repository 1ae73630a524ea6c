"""Reading files that strangers wrote: whatever a reader raises becomes one line of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentmap.errors import LatentmapError
from latentmap.printing import printable

_LONGEST = 200  # Characters of a reason that somebody else's file has a part in.


@contextmanager
def reading(
    path: str | Path,
    error: type[LatentmapError],
    advice: str,
    *,
    what: str = "is not as it should be",
) -> Iterator[None]:
    """Raises ``error`` for whatever a reader raises in the block: the path, ``what`` is wrong with
    it, the reason, and the ``advice``.

    Readers of other libraries promise nothing about files that are not as they should be: there are
    ``KeyError``, ``struct.error``, ``RecursionError``, ``MemoryError`` and others among what they
    raise. So all errors are taken, and the block is to hold nothing but the reading. Those that are
    ``error`` already pass.

    Raises:
        LatentmapError: of the class ``error``.
    """
    try:
        yield
    except error:
        raise
    except OSError as problem:
        if problem.errno is None:  # Of a library, and not what the system refuses.
            raise error(f"{path} {what} ({reason_of(problem)}): {advice}") from problem
        reason = problem.strerror or reason_of(problem)
        raise error(f"{path} cannot be read: {reason}; {advice}") from problem
    except Exception as problem:
        raise error(f"{path} {what} ({reason_of(problem)}): {advice}") from problem


def reason_of(problem: BaseException) -> str:
    """What an error says, in one short line that a terminal can take."""
    if isinstance(problem, RecursionError):
        return "it is nested too deeply"
    if isinstance(problem, MemoryError):
        return "it needs more memory than there is"
    if isinstance(problem, KeyError):
        return printable(f"{problem} is missing")
    text = printable(" ".join(str(problem).split())) or type(problem).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
