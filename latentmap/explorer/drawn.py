"""A view of the page as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentmap.report.figures import Figure


@dataclass(frozen=True, eq=False)
class Drawn:
    """A ``figure``, ``what`` it shows in words, and what is ``told`` of it (JSON), by names."""

    figure: Figure
    what: str
    told: Mapping[str, Any]


def whole_of(fields: Mapping[str, str], name: str, default: int) -> int:
    """The whole number that a state says by a name; -1, which is none, of any other text.

    Example:
        >>> whole_of({"epoch": "12"}, "epoch", 0), whole_of({"epoch": "x"}, "epoch", 0)
        (12, -1)
    """
    text = fields.get(name, str(default))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
