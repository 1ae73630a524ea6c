"""What the page shows of a state as a figure, without a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentmap.errors import ExplorerError
from latentmap.explorer.explored import Explored
from latentmap.explorer.lines import figure_of_line, read_line, show_line
from latentmap.explorer.places import PLACE_VIEW, read_fields, read_place, view_of
from latentmap.explorer.sector_figure import figure_of_sector
from latentmap.explorer.showing import figure_of
from latentmap.report import ImageGrid
from latentmap.report.words import images_in_words

_DRAWN = (PLACE_VIEW, "line", "sectors")


@dataclass(frozen=True, eq=False)
class Drawn:
    """A ``figure``, ``what`` it shows in words, and what is ``told`` of each of its rows (JSON)."""

    figure: ImageGrid
    what: str
    told: list[dict[str, Any]]


def require_drawn(state: str) -> None:
    """Passes where the view that a state names is one that can be drawn without a page.

    Raises:
        ExplorerError: it is not.
    """
    view = view_of(state)
    if view not in _DRAWN:
        raise ExplorerError(
            f"--figure draws the views {', '.join(_DRAWN)}, not {view[:40]!r}: choose one of these "
            "in --at, or leave out --figure to see it on the page"
        )


def figure_of_state(explored: Explored, state: str) -> Drawn:
    """The pictures of the view that a state names: of a line, a sector, or of one code.

    Raises:
        ExplorerError: the state says what cannot be.
        ImageError: no model decodes.
    """
    require_drawn(state)
    fields, view = read_fields(state), view_of(state)
    if view == "line":
        line, _ = read_line(state)
        rows = show_line(explored, line)
        told = [row.to_json() for row in rows]
        return Drawn(figure_of_line(rows), f"a line of {line.steps} codes", told)
    if view == "sectors":
        figure, found, told = figure_of_sector(explored, fields)
        n = images_in_words(found.count.n, found.count.n)
        return Drawn(figure, f"a sector of {n}, {found.count.expected:.1f} expected,", told)
    figure, told = figure_of(explored, read_place(state))
    return Drawn(figure, "one code", told)
