"""What the page shows of a state as a figure, without a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from latentmap.errors import ExplorerError
from latentmap.explorer.drawn import Drawn
from latentmap.explorer.explored import Explored
from latentmap.explorer.lines import figure_of_line, read_line, show_line
from latentmap.explorer.own_figure import figure_of_own
from latentmap.explorer.places import PLACE_VIEW, read_fields, read_place, view_of
from latentmap.explorer.points_figure import figure_of_points
from latentmap.explorer.sector_figure import figure_of_sector
from latentmap.explorer.showing import figure_of
from latentmap.explorer.trace_figure import figure_of_moment
from latentmap.explorer.trace_view import WithTrainings
from latentmap.progress import Stage, silent
from latentmap.report.words import images_in_words

POINTS_VIEW, OWN_VIEW, TRACES_VIEW = "points", "own", "traces"
_CHARTS = (POINTS_VIEW, TRACES_VIEW)  # Views that are drawn by matplotlib.


def require_drawn(state: str) -> None:
    """Passes where the view that a state names is one that can be drawn without a page.

    Raises:
        ExplorerError: it is not.
    """
    view = view_of(state)
    if view not in _VIEWS:
        raise ExplorerError(
            f"--figure draws the views {', '.join(_VIEWS)}, not {view[:40]!r}: choose one of these "
            "in --at, or leave out --figure to see it on the page"
        )


def is_chart(state: str) -> bool:
    """Whether the view that a state names is drawn as a chart, and not as pictures."""
    return view_of(state) in _CHARTS


def own_images_of(state: str) -> list[str] | None:
    """The ids of images of one's own that are drawn in a state, empty where it is the first that is
    given; None where there is none.
    """
    view = view_of(state)
    if view == OWN_VIEW:
        return list(filter(None, [read_fields(state).get("upload")]))
    ends = [state]
    if view == "line":
        line, _ = read_line(state)
        ends = [line.a, line.b]
    starts = [read_place(end).start for end in ends if view in (PLACE_VIEW, "line")]
    return [start.upload for start in starts if start.kind == "upload"] or None


def figure_of_state(explored: Explored, state: str, *, stage: Stage = silent) -> Drawn:
    """What the view that a state names shows; a ``stage`` is begun where that takes long.

    Raises:
        ExplorerError: the state says what cannot be.
        ImageError: no model decodes.
    """
    require_drawn(state)
    return _VIEWS[view_of(state)](explored, state, stage)


def figure_of_trainings(explored: WithTrainings, state: str) -> Drawn:
    """What the view of trainings shows in a state, which need not name it.

    Raises:
        ExplorerError: the state says what cannot be, or names another view.
    """
    fields = read_fields(state)
    view = fields.get("view") or TRACES_VIEW
    if view != TRACES_VIEW:
        raise ExplorerError(
            f"without a MODEL there is the view {TRACES_VIEW} alone, not {view[:40]!r}: give the "
            "models, or leave out the view in --at"
        )
    return figure_of_moment(explored, fields)


def _place(explored: Explored, state: str, stage: Stage) -> Drawn:
    figure, told = figure_of(explored, read_place(state))
    return Drawn(figure, f"one code in {_names(explored)}", {"pictures": told})


def _line(explored: Explored, state: str, stage: Stage) -> Drawn:
    line, _ = read_line(state)
    rows = show_line(explored, line)
    told = [row.to_json() for row in rows]
    what = f"a line of {line.steps} codes in {_names(explored)}"
    return Drawn(figure_of_line(rows), what, {"pictures": told})


def _sector(explored: Explored, state: str, stage: Stage) -> Drawn:
    figure, found, told = figure_of_sector(explored, read_fields(state))
    n = images_in_words(found.count.n, found.count.n)
    what = f"a sector of {n}, {found.count.expected:.1f} expected, in {_names(explored)}"
    return Drawn(figure, what, {"pictures": told})


def _points(explored: Explored, state: str, stage: Stage) -> Drawn:
    return figure_of_points(explored, read_fields(state), stage=stage)


def _own(explored: Explored, state: str, stage: Stage) -> Drawn:
    return figure_of_own(explored, read_fields(state))


def _training(explored: Explored, state: str, stage: Stage) -> Drawn:
    return figure_of_trainings(explored, state)


def _names(explored: Explored) -> str:
    return ", ".join(model.name for model in explored.models)


_VIEWS: Mapping[str, Callable[[Explored, str, Stage], Drawn]] = {
    PLACE_VIEW: _place,
    "line": _line,
    POINTS_VIEW: _points,
    "sectors": _sector,
    OWN_VIEW: _own,
    TRACES_VIEW: _training,
}
