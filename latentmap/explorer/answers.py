"""What the explorer answers: a few numbers and words, pictures, and many numbers; and what it is
asked.

An action is a function of the explored spaces and of what is asked. ``latentmap.explorer.actions``
lists them all: a view of the page needs nothing else from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from latentmap.errors import ExplorerError
from latentmap.explorer.explored import Explored


@dataclass(frozen=True)
class File:
    """What is written as a file: its media type, and what makes its bytes, which may take a while:
    it is called in another thread than networks run in.
    """

    type: str
    write: Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class Answer:
    """``told`` (JSON), ``pictures``, uint8 ``(h, w, c)`` each, ``files`` after these, and
    ``arrays`` of any shape, which are sent as float32.
    """

    told: Mapping[str, Any]
    pictures: Sequence[np.ndarray] = field(default=())
    files: Sequence[File] = field(default=())
    arrays: Sequence[np.ndarray] = field(default=())


Asked: TypeAlias = Mapping[str, Any]
Action: TypeAlias = Callable[[Explored, Asked], Answer]


def text_in(asked: Asked, name: str, default: str | None = None) -> str:
    """The text that is asked for by a name.

    Raises:
        ExplorerError: it is none.
    """
    value = asked.get(name, default)
    if not isinstance(value, str):
        raise ExplorerError(f"{name} must be a text")
    return value


def whole_in(asked: Asked, name: str, *, least: int = 0, most: int) -> int:
    """The whole number that is asked for by a name.

    Raises:
        ExplorerError: it is none, or outside of its range.
    """
    value = asked.get(name)
    if type(value) is not int or not least <= value <= most:
        raise ExplorerError(f"{name} must be a whole number from {least} to {most}")
    return value


def texts_in(asked: Asked, name: str, *, most: int) -> list[str]:
    """The texts, so many at most, that are asked for by a name.

    Raises:
        ExplorerError: they are none, or more.
    """
    value = asked.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ExplorerError(f"{name} must be a list of texts")
    if len(value) > most:
        raise ExplorerError(f"{name} can be {most} at most, not {len(value)}")
    return value
