"""What a foreign file holds once it is read: plain data, and inert stand-ins for the rest.

A class or function of the file is a ``Global``, a name and nothing more; what the file would have
made with it is a ``Record``. Neither can be called, and nothing is imported.
"""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Global:
    """The name of a class or function, as the file gives it: ``module.attribute``."""

    name: str


class Record:
    """What the file would have made by calling ``name``: its parts, inert.

    ``args`` are the arguments; ``state`` is what an object's attributes would have become;
    ``entries`` and ``members`` are what would have been put into it as a mapping or a list.
    """

    __slots__ = ("args", "entries", "members", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name = name
        self.args = args
        self.state: Any = None
        # Made when something is put in: most records hold neither.
        self.entries: dict[Any, Any] | None = None
        self.members: list[Any] | None = None

    def __repr__(self) -> str:
        return f"<Record {self.name}>"


@dataclass(eq=False)
class TensorView:
    """A tensor or array of the file: its shape and type are known, its numbers are read on demand.

    ``load`` gives a new tensor on the CPU that shares no memory with the file, and raises
    ``CheckpointError`` where the file does not hold the numbers. ``stored_as`` is the type of the
    numbers where it is none of torch's.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], Tensor]
    stored_as: str | None = None

    @property
    def type_name(self) -> str:
        """The type of the numbers: ``float16``."""
        return self.stored_as or str(self.dtype).removeprefix("torch.")

    def __repr__(self) -> str:
        return f"<TensorView {self.shape} {self.type_name}>"


@dataclass(frozen=True, eq=False)
class LongText:
    """A long text of the file, such as a module's source: UTF-8 that is not decoded."""

    utf8: memoryview


def as_mapping(value: Any) -> Mapping[Any, Any]:
    """A dictionary, or the inert record of one or of an object with attributes, as a mapping; an
    empty one for anything else.
    """
    if isinstance(value, dict):
        return value
    if isinstance(value, Record):
        state = value.state if isinstance(value.state, dict) else {}
        # Not copied: a file may refer to one object from a thousand places.
        if state and value.entries:
            return ChainMap(value.entries, state)
        return value.entries or state
    return {}


def text_digest(value: Any) -> str | None:
    """The sha256 (hex) of a text of the file, as UTF-8; None where it is no text."""
    if isinstance(value, LongText):
        return hashlib.sha256(value.utf8).hexdigest()
    if isinstance(value, str):
        return hashlib.sha256(value.encode()).hexdigest()
    if isinstance(value, bytes | memoryview):
        return hashlib.sha256(value).hexdigest()
    return None
