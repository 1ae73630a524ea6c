"""What is fuzzed: readers, each with files that it reads and the calls that commands make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.cases import Case

Change = Callable[[Random, bytes], bytes]


@dataclass(frozen=True)
class Reader:
    """A reader: its ``name``, the seeds that it reads as they are, and its ``uses``.

    A use gets the folder of a case. ``changes`` are by the end of a file's name, those that know
    its format; ``finish`` puts seals right that a change broke, so that what lies behind them is
    reached.
    """

    name: str
    seeds: Callable[[Path], Sequence[Case]]
    uses: Sequence[Callable[[Path], object]]
    changes: Sequence[tuple[str, Change]] = ()
    finish: Callable[[Random, Case], Case] | None = None


@dataclass(frozen=True)
class Loaded:
    """A reader with its seeds made."""

    reader: Reader
    seeds: Sequence[Case]
