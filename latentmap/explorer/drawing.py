"""What the page shows of a state as a figure, without a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentmap.explorer.explored import Explored
from latentmap.explorer.lines import figure_of_line, read_line, show_line
from latentmap.explorer.places import read_fields, read_place
from latentmap.explorer.showing import figure_of
from latentmap.report import ImageGrid


@dataclass(frozen=True, eq=False)
class Drawn:
    """A ``figure``, ``what`` it shows in words, and what is ``told`` of each of its rows (JSON)."""

    figure: ImageGrid
    what: str
    told: list[dict[str, Any]]


def figure_of_state(explored: Explored, state: str) -> Drawn:
    """The pictures of the view that a state names: of a line, or else of one code.

    Raises:
        ExplorerError: the state says what cannot be.
        ImageError: no model decodes.
    """
    if read_fields(state).get("view") == "line":
        line, _ = read_line(state)
        rows = show_line(explored, line)
        told = [row.to_json() for row in rows]
        return Drawn(figure_of_line(rows), f"a line of {line.steps} codes", told)
    figure, told = figure_of(explored, read_place(state))
    return Drawn(figure, "one code", told)
