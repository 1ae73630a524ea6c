"""What the page shows of a state as a figure, without a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentmap.explorer.explored import Explored
from latentmap.explorer.lines import figure_of_line, read_line, show_line
from latentmap.explorer.places import read_fields, read_place
from latentmap.explorer.sector_figure import figure_of_sector
from latentmap.explorer.showing import figure_of
from latentmap.report import ImageGrid
from latentmap.report.words import images_in_words


@dataclass(frozen=True, eq=False)
class Drawn:
    """A ``figure``, ``what`` it shows in words, and what is ``told`` of each of its rows (JSON)."""

    figure: ImageGrid
    what: str
    told: list[dict[str, Any]]


def figure_of_state(explored: Explored, state: str) -> Drawn:
    """The pictures of the view that a state names: of a line, a sector, or else of one code.

    Raises:
        ExplorerError: the state says what cannot be.
        ImageError: no model decodes.
    """
    fields = read_fields(state)
    if fields.get("view") == "line":
        line, _ = read_line(state)
        rows = show_line(explored, line)
        told = [row.to_json() for row in rows]
        return Drawn(figure_of_line(rows), f"a line of {line.steps} codes", told)
    if fields.get("view") == "sectors":
        figure, found, told = figure_of_sector(explored, fields)
        n = images_in_words(found.count.n, found.count.n)
        return Drawn(figure, f"a sector of {n}, {found.count.expected:.1f} expected,", told)
    figure, told = figure_of(explored, read_place(state))
    return Drawn(figure, "one code", told)
