"""Places: where in the source's space the explorer stands, as a text that a link holds.

A place is a start and what was moved from it, one set of controls after the other, such as
``start=image&image=7.png&moves=variables_3_1.5_7_-0.5*directions_0_1``: variable 3 at 1.5 standard
deviations, 7 at -0.5, then the first principal direction at 1. The page writes the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import parse_qsl

from latentmap.errors import ExplorerError

StartKind = Literal["mean", "image", "random", "upload"]
PLACE_VIEW = "move"
_LONGEST = 1 << 16
_FURTHEST = 1000.0  # Standard deviations.
_MOST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Start:
    """The mean code of the data, that of the image called ``image``, one drawn by ``seed``, or that
    of the ``upload`` of this id.
    """

    kind: StartKind = "mean"
    image: str = ""
    seed: int = 0
    upload: str = ""


@dataclass(frozen=True)
class Place:
    """A start, and the readings of controls by their numbers, of one set after the other."""

    start: Start = Start()
    moves: tuple[tuple[str, Mapping[int, float]], ...] = ()


def read_place(text: str) -> Place:
    """The place that the state of the page says; keys of other views are passed over.

    Raises:
        ExplorerError: it is no state, or says what cannot be.

    Example:
        >>> read_place("start=random&seed=4&moves=variables_3_1.5").moves
        (('variables', {3: 1.5}),)
    """
    found = read_fields(text)
    kind = found.get("start", "mean")
    if kind == "image":
        start = Start("image", image=found.get("image", ""))
    elif kind == "random":
        start = Start("random", seed=_seed(found.get("seed", "0")))
    elif kind == "upload":
        start = Start("upload", upload=found.get("upload", ""))
    elif kind == "mean":
        start = Start()
    else:
        kinds = ", ".join(get_args(StartKind))
        raise ExplorerError(f"a state starts from one of {kinds}, not {kind[:40]!r}")
    moves = found.get("moves", "")
    return Place(start, tuple(map(_read_moves, moves.split("*"))) if moves else ())


def view_of(text: str) -> str:
    """The name of the view that a state of the page says; without one it is that of one place.

    Raises:
        ExplorerError: it is no state.
    """
    return read_fields(text).get("view") or PLACE_VIEW


def read_fields(text: str) -> dict[str, str]:
    """The texts of a state of the page, by their keys.

    Raises:
        ExplorerError: it is no state.
    """
    if len(text) > _LONGEST:
        raise ExplorerError(f"a state has {_LONGEST:,} letters at most, not {len(text):,}")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise ExplorerError("a state has 100 fields at most: copy the link again") from error


def _seed(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MOST_SEED:
        return int(text)
    raise ExplorerError(f"a seed is a number from 0 to {_MOST_SEED}, not {text[:40]!r}")


def _read_moves(text: str) -> tuple[str, dict[int, float]]:
    name, *words = text.split("_")
    try:
        numbers = [int(word) for word in words[::2]]
        values = [float(word) for word in words[1::2]]
    except ValueError as error:
        raise _refused(text) from error
    if len(words) % 2 or not words or not all(map(math.isfinite, values)):
        raise _refused(text)
    if max(map(abs, values)) > _FURTHEST:
        raise ExplorerError(f"controls move up to {_FURTHEST:g} standard deviations, no further")
    return name, dict(zip(numbers, values, strict=True))


def _refused(text: str) -> ExplorerError:
    return ExplorerError(
        f"moves are written as variables_3_1.5_7_-0.5, a number and a value each, not {text[:40]!r}"
    )
