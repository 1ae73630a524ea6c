"""What a network was made with, where its file says so: read, or refused when it is unsupported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from latentmap.encoders.checkpoints.descriptions import in_words
from latentmap.errors import CheckpointError

_LARGEST = 1e9

Default = TypeVar("Default", float, None)


def positive(arguments: Mapping[str, Any], name: str, default: Default) -> float | Default:
    """The positive number that an argument is, or ``default`` where it is not given or None.

    Raises:
        CheckpointError: it is something else.
    """
    value = arguments.get(name)
    if value is None:
        return default
    if not isinstance(value, float | int) or not 0 < value < _LARGEST:
        raise CheckpointError(
            f"{name} is {in_words(value)}, not a positive number: the file is damaged"
        )
    return float(value)


def check_fixed(arguments: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    """Passes where every argument in ``fixed`` has the value there, or is not given.

    Raises:
        CheckpointError: one has another value.
    """
    for name, expected in fixed.items():
        value = arguments.get(name, expected)
        if type(value) is not type(expected) or value != expected:
            raise CheckpointError(
                f"the network was made with {name}={in_words(value)}: only {expected!r} is "
                "supported"
            )


def check_taps(arguments: Mapping[str, Any], name: str, expected: tuple[float, ...]) -> None:
    """Passes where the filter's taps are the expected ones, or are not given.

    Raises:
        CheckpointError: they are others, or None, which is no filter or one of another kind.
    """
    taps = arguments.get(name, expected)
    if not isinstance(taps, list | tuple) or [*taps] != [*expected]:
        raise CheckpointError(
            f"the network was made with {name}={in_words(taps)}: only "
            f"{[*map(int, expected)]} is supported"
        )
