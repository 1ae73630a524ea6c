"""Keys of dictionaries, and members of sets, in foreign files: what may be hashed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.values import Global, Record
from latentmap.errors import CheckpointError

# What an entry takes in a dictionary or a set.
_PLACE = 160
_BITS = 64
_PARTS = 8


def checked_key(key: Any, budget: Budget) -> Any:
    """A key that may be hashed, the price of its place included.

    A tuple stays one when it is a few texts: hashing nested ones would overflow the interpreter's
    stack, and of numbers a file can choose thousands with one hash. Others become records, which
    are equal to themselves alone.
    """
    budget.spend(_PLACE)
    if key is None or type(key) in (str, bytes, bool, float, Global, Record):
        return key
    if type(key) is int and key.bit_length() <= _BITS:
        return key
    if type(key) is tuple:
        plain = len(key) <= _PARTS and all(type(part) is str for part in key)
        return key if plain else Record("builtins.tuple", (key,))
    raise CheckpointError(f"it uses a {type(key).__name__} as the key of a dictionary")


def checked_keys(keys: Sequence[Any], budget: Budget) -> Iterator[Any]:
    """The members of a set, each as ``checked_key`` gives it."""
    return (checked_key(key, budget) for key in keys)
