"""The view "Traces" as a figure: a training at one of its epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentmap.diagnostics.trace_moments import Moment, moment_of
from latentmap.explorer.answers import whole_in
from latentmap.explorer.drawn import Drawn, whole_of
from latentmap.explorer.trace_view import WithTrainings, plane_of, training_asked
from latentmap.explorer.trainings import Curves
from latentmap.report import Plot
from latentmap.report.colours import BLACK, BLUE, GREY, VERMILION
from latentmap.report.plots import COLUMN, heading, set_height, width_of, wrapped

_DRAWN = "gain"
_APART = 100  # Values of so many times the least are drawn by their logarithm, as on the page.
_BARS = 64  # Variables: more bars are not told apart.
_NUMBERED = 20  # Bars that have room for a number each.
_INK = 4.0  # Of all discs together: less where there are many.
_LEAST = 1.2  # Points of a disc that is seen.
_HEADING = 1.2  # Centimetres,
_UPRIGHT = 3.8  # and of a title that stands upright.


def figure_of_moment(explored: WithTrainings, fields: Mapping[str, str]) -> Drawn:
    """The training that the ``fields`` of a state name at one of its epochs, by default the last:
    the course of what is ``drawn``, the gain of its variables, and the codes of followed images.

    Raises:
        ExplorerError: there is no such training, epoch, or nothing that is called so.
    """
    training = training_asked(explored, {"trace": whole_of(fields, "trace", 0)})
    last = len(training.trace.epochs.number) - 1
    epoch = whole_in({"epoch": whole_of(fields, "epoch", last)}, "epoch", most=last)
    drawn = fields.get("drawn") or _DRAWN
    curves = training.curves(drawn)
    moment = moment_of(training.trace, epoch)
    plane = None if training.motion is None else plane_of(training.motion, moment.step)
    words = f"{training.name}, {_in_words(moment, last)}"

    def draw(figure: Any) -> None:
        course, gains, discs = _panels(figure, plane is not None)
        _draw_course(course, curves, moment)
        _draw_gains(gains, moment)
        if discs is not None and plane is not None:
            _draw_plane(discs, plane)
        heading(figure, words)

    told = {"training": training.name, "drawn": drawn, "moment": moment.to_json()}
    return Drawn(Plot(draw), f"epoch {epoch} of {training.name}", told)


def _in_words(moment: Moment, last: int) -> str:
    active = moment.active
    words = (
        f"epoch {moment.epoch} of {last}, {moment.step:,} steps: {active.sum()} of {len(active)} "
        "variables active"
    )
    lines = [words]
    if moment.batch:
        step, *batch = moment.batch.items()
        lines.append(f"batch of step {step[1]:,}: {_figures(dict(batch))}")
    if moment.worth:
        variable, *worth = moment.worth.items()
        lines.append(f"variable {variable[1]}: {_figures(dict(worth))}")
    return "\n".join(lines)


def _figures(figures: Mapping[str, float | str]) -> str:
    texts = [
        f"{name} {value if isinstance(value, str) else format(value, '.4g')}"
        for name, value in figures.items()
    ]
    return ", ".join(texts)


def _panels(figure: Any, with_plane: bool) -> tuple[Any, Any, Any]:
    """The axes of the course, of the gains, and of the plane where there is one."""
    width = width_of(figure)
    if width < COLUMN * 1.4:
        heights = [4.5, 4.0, *([width] if with_plane else [])]
        set_height(figure, _HEADING + sum(heights))
        axes = figure.subplots(len(heights), 1, height_ratios=heights)
        return axes[0], axes[1], axes[2] if with_plane else None
    if not with_plane:
        set_height(figure, _HEADING + width / 3)
        course, gains = figure.subplots(1, 2)
        return course, gains, None
    set_height(figure, _HEADING + width / 2)
    axes = figure.subplot_mosaic([["course", "plane"], ["gains", "plane"]])
    return axes["course"], axes["gains"], axes["plane"]


def _draw_course(axis: Any, curves: Curves, moment: Moment) -> None:
    """What is drawn over the steps, with a mark at the epoch; lines that end active lie above."""
    of_variables = bool(curves.variables)
    ends_dead = np.isin(np.arange(len(curves.values)), curves.inactive)
    for dead, colour, name in ((True, VERMILION, "ends inactive"), (False, BLUE, "ends active")):
        lines = curves.values[ends_dead == dead]
        if len(lines):
            axis.plot(curves.at, lines.T, color=colour, linewidth=0.8, alpha=0.8)
            if of_variables:
                axis.plot([], [], color=colour, label=name)
    least, most = float(curves.values.min()), float(curves.values.max())
    if len(curves.values) == 1 and least > 0 and most > _APART * least:
        axis.set_yscale("log")
    elif least >= 0:
        axis.set_ylim(bottom=0)
    axis.axvline(moment.step, color=BLACK, linestyle="--", linewidth=0.8)
    if of_variables:
        axis.legend()
    axis.set_xlabel("steps")
    axis.set_ylabel(wrapped(curves.title, _UPRIGHT))
    axis.grid()


def _draw_gains(axis: Any, moment: Moment) -> None:
    """The gain of the variables, the largest first."""
    order = np.argsort(-moment.gain, kind="stable")[:_BARS]
    active = moment.active[order]
    for of, colour, name in ((active, BLUE, "active"), (~active, VERMILION, "inactive")):
        if of.any():
            axis.bar(np.flatnonzero(of), moment.gain[order][of], color=colour, label=name)
    numbered = order if len(order) <= _NUMBERED else order[:0]
    axis.set_xticks(np.arange(len(numbered)), labels=list(map(str, numbered)))
    few = f", the first {_BARS}" if len(moment.gain) > _BARS else ""
    axis.set_xlabel(f"variables by gain at epoch {moment.epoch}{few}")
    axis.set_ylabel("information gain (mse)")
    axis.legend()
    axis.grid(axis="y")


def _draw_plane(axis: Any, plane: Mapping[str, Any]) -> None:
    """A disc for the code of each followed image, and the way that led there."""
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Circle

    ways, colours = np.array(plane["ways"]), plane["colours"]
    parts = np.stack([ways[:-1], ways[1:]], axis=2)  # (moments, images, 2, 2)
    shares = 0.7 * (np.arange(1, len(ways)) / len(ways)) ** 2
    for part, share in zip(parts, shares, strict=True):
        shades = [to_rgba(colour, share) for colour in colours]
        axis.add_collection(LineCollection(list(part), colors=shades, linewidths=0.7))
    fill = min(0.4, _INK / len(colours))
    discs = [Circle(at, radius) for at, radius in zip(ways[-1], plane["radii"], strict=True)]
    axis.add_collection(
        PatchCollection(
            discs,
            facecolors=[to_rgba(colour, fill) for colour in colours],
            edgecolors=[to_rgba(colour, min(0.6, 5 * fill)) for colour in colours],
            linewidths=0.8,
        )
    )
    axis.scatter(*ways[-1].T, s=_LEAST**2, c=colours, linewidths=0)  # Discs may be too small.
    for one in plane["legend"]:
        axis.plot([], [], "o", color=one["colour"], label=one["name"])
    if plane["legend"]:
        axis.legend(loc="upper right")
    for line in (axis.axhline, axis.axvline):
        line(0, color=GREY, linewidth=0.5, alpha=0.5)
    axis.set_xlim(-plane["reach"], plane["reach"])
    axis.set_ylim(-plane["reach"], plane["reach"])
    axis.set_aspect("equal")
    first, second = plane["variables"]
    axis.set_xlabel(f"variable {first}")
    axis.set_ylabel(f"variable {second}")
    axis.set_title(f"codes of {len(colours)} images")
