"""Work: what engines are given to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from latentmap.errors import EngineError

# Called with a number of what is to be done; it must be harmless to do it twice.
Work = Callable[[int], None]

ATTEMPTS = 3  # At one number: what kills its worker three times kills the next one, too.


class Setup(Protocol):
    """Called once by each worker, with its place among them; gives what it does from then on.

    It is sent to the worker by pickle.
    """

    def __call__(self, worker: int) -> Work: ...


def give_up(number: int) -> EngineError:
    """The error of a number whose workers have all ended without a word."""
    return EngineError(
        f"shard {number} was not done: {ATTEMPTS} workers ended over it without a word, which a "
        "system does that has no memory left; take fewer workers (--workers) or smaller batches "
        "(--batch-size), and run the same command to go on"
    )
