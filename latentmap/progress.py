"""How long work tells its caller how far it is: ``progress(done, total)``, stage by stage."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Progress = Callable[[int, int], None]


class Stage(Protocol):
    """Called with what is done next and what is counted in it; gives the progress for it."""

    def __call__(
        self, label: str, unit: str = "images"
    ) -> AbstractContextManager[Progress | None]: ...


def silent(label: str, unit: str = "images") -> AbstractContextManager[Progress | None]:
    """A stage that shows nothing."""
    return nullcontext()
