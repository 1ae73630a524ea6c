"""Work: what engines are given to do."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from latentmap.errors import EngineError

# Called with a number of what is to be done; it must be harmless to do it twice.
Work = Callable[[int], None]
# The numbers that are done, as an engine gives them; closing it ends the work.
Done = Generator[int, None, None]
# Does what has some numbers.
Engine = Callable[[Sequence[int]], Done]

ATTEMPTS = 3  # At one number: what kills its worker three times kills the next one, too.


class Setup(Protocol):
    """Called once by each worker, with its place among them; gives what it does from then on.

    It is sent to the worker by pickle.
    """

    def __call__(self, worker: int) -> Work: ...


class Late:
    """Work that is set up when it is first done, so that what goes wrong is raised where it is
    heard; what it raises can be sent to another process.
    """

    def __init__(self, setup: Setup, place: int) -> None:
        self._setup, self._place = setup, place
        self._ready: Work | None = None

    def __call__(self, number: int) -> None:
        try:
            if self._ready is None:
                self._ready = self._setup(self._place)
            self._ready(number)
        except Exception as error:
            if can_be_sent(error):
                raise
            raise EngineError(f"a worker raised {type(error).__name__}: {error}") from error


def can_be_sent(error: Exception) -> bool:
    """Whether pickle makes an error again."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # Whatever its own code raises.
        return False
    return True


def give_up(number: int) -> EngineError:
    """The error of a number whose workers have all ended without a word."""
    return EngineError(
        f"shard {number} was not done: {ATTEMPTS} workers ended over it without a word, which a "
        "system does that has no memory left; take fewer workers (--workers) or smaller batches "
        "(--batch-size), and run the same command to go on"
    )
