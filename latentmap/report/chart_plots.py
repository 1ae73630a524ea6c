"""The heat maps and planes of a page, drawn for print from the same values."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentmap.report.colours import BLUE, GREY, level_of, text_on
from latentmap.report.drawing import HEIGHT, WIDTH, draw_plane
from latentmap.report.parts import HeatCell, HeatMap, Plane
from latentmap.report.plots import COLUMN, Plot, set_height, width_of, wrapped

_CELL = 1.6  # Centimetres, of a cell at most.
_NAMES = 3.5  # Of the names at the left, and of the scale at the right.
_HEAD = 3.0  # Of the title and the names above.


def chart_plot(chart: HeatMap | Plane) -> Plot:
    """A chart of a page as it is printed; its note is for the caption, so it is not in it."""
    return _heat_plot(chart) if isinstance(chart, HeatMap) else _plane_plot(chart)


def _heat_plot(chart: HeatMap) -> Plot:
    count = len(chart.names)

    def draw(figure: Any) -> None:
        side = min(_CELL, (width_of(figure) - _NAMES) / count)
        set_height(figure, _HEAD + side * count)
        axis = figure.subplots()
        values = [[_value_of(cell) for cell in row] for row in chart.cells]
        shown = axis.imshow(np.array(values), vmin=0, vmax=1)
        for i, row in enumerate(chart.cells):
            for j, cell in enumerate(row):
                _write_cell(axis, cell, (j, i))
        axis.set_xticks(range(count), chart.names, rotation=45, ha="left", rotation_mode="anchor")
        axis.xaxis.tick_top()
        axis.set_yticks(range(count), chart.names)
        axis.set_ylabel("from")
        axis.set_xlabel("to")
        axis.xaxis.set_label_position("top")
        axis.tick_params(length=0)
        figure.colorbar(shown, ax=axis, shrink=0.8)
        figure.suptitle(wrapped(chart.title, width_of(figure)))

    return Plot(draw, width=min(COLUMN * 2, _NAMES + _CELL * max(count, 4)))


def _value_of(cell: HeatCell | None) -> float:
    return np.nan if cell is None or cell.value is None else cell.value


def _write_cell(axis: Any, cell: HeatCell | None, place: tuple[int, int]) -> None:
    if cell is None:
        return
    middle: dict[str, Any] = {"ha": "center", "va": "center", "size": "small"}
    if cell.value is None:
        axis.text(*place, "-", color=GREY, **middle)
        return
    colour = [part / 255 for part in text_on(level_of(cell.value))]
    axis.text(*place, f"{cell.value:.2f} {cell.mark}".rstrip(), color=colour, **middle)


def _plane_plot(chart: Plane) -> Plot:
    def draw(figure: Any) -> None:
        drawn = draw_plane(chart)
        set_height(figure, width_of(figure) * HEIGHT / WIDTH)
        axis = figure.subplots()
        axis.set_xlim(0, WIDTH)
        axis.set_ylim(HEIGHT, 0)
        axis.set_aspect("equal")
        axis.set_axis_off()
        for point in drawn.points:
            axis.plot(point.x, point.y, "o", color=BLUE)
            side = {"start": "left", "end": "right"}[point.anchor]
            axis.text(point.label_x, point.label_y, point.name, ha=side, va="center")
        low, left = HEIGHT - 17, 16.0
        axis.plot([left, left + drawn.scale_pixels], [low, low], color=GREY, marker="|")
        after = left + drawn.scale_pixels + 8
        axis.text(after, low, f"{drawn.scale:g}", color=GREY, size="small", va="center")
        figure.suptitle(wrapped(chart.title, width_of(figure)))

    return Plot(draw, width=COLUMN * 1.4)
