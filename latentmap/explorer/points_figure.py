"""The view "Points" as a figure: the codes of the images in a plane, by what the page answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from latentmap.errors import ExplorerError
from latentmap.explorer.answers import Answer, Asked
from latentmap.explorer.colouring import colour_points
from latentmap.explorer.drawn import Drawn, whole_of
from latentmap.explorer.explored import Explored
from latentmap.explorer.points_of_plane import Box, PointsOfPlane, box_near
from latentmap.explorer.points_plot import points_plot
from latentmap.explorer.points_view import list_colours, place_points
from latentmap.progress import Progress, Stage, silent

_BOX = "a box is written as X_Y_SPAN, its middle and how much of the plane a side holds"


def figure_of_points(
    explored: Explored, fields: Mapping[str, str], *, stage: Stage = silent
) -> Drawn:
    """All points in the plane, the colours and the box that the ``fields`` of a state name, by
    default those that the page begins with; the image that is taken has a ring.

    Raises:
        ExplorerError: there is no such plane, colouring, box or image.
    """
    points = explored.points
    by, numbers = _plane_of(explored, fields.get("plane", ""))
    chosen = explored.controls_called(by)
    controls = {one.number: one.name for one in chosen.controls}
    box = _box_of(fields.get("box", ""))
    taken = _taken(explored, fields)
    known = {one["name"]: one["title"] for one in list_colours(explored, {}).told["colours"]}
    name = fields.get("colour") or next(iter(known))
    plane = {"by": by, "x": numbers[0], "y": numbers[1]}
    with stage("placing points", "points") as progress:
        xy, _ = _of_all(place_points, explored, plane, progress)
    with stage(f"points: {known.get(name, name)}", "points") as progress:
        values, told = _of_all(colour_points, explored, {"by": name}, progress)
    drawn = PointsOfPlane(
        xy,
        (controls[numbers[0]], controls[numbers[1]]),
        values,
        known[name],
        told["note"],
        told["groups"],
        box_near(box, xy),
        None if taken is None else points.number_of(taken),
    )
    n, of = len(points), explored.source.name
    even = f", evenly of {points.total:,} images" if n < points.total else ""
    title = f"{n:,} codes of {of}{even}"
    heading = "\n".join(filter(None, [f"{title}: {chosen.title}", drawn.note]))
    across, up = drawn.axes
    return Drawn(
        points_plot(drawn, heading),
        f"{title}, {across} and {up}, by {drawn.title}",
        {
            "points": n,
            "images": points.total,
            "plane": {**plane, "names": list(drawn.axes)},
            "colour": name,
            **drawn.to_json(),
            "taken": taken,
        },
    )


def _of_all(
    action: Callable[[Explored, Asked], Answer],
    explored: Explored,
    asked: Asked,
    progress: Progress | None,
) -> tuple[np.ndarray, Mapping[str, Any]]:
    """What the page is answered for all points, part by part, as the numbers that it gets; and what
    it is told.
    """
    n, parts, stop = len(explored.points), [], 0
    told: Mapping[str, Any] = {}
    while stop < n:
        if progress is not None:
            progress(stop, n)
        answer = action(explored, {**asked, "start": stop})
        parts.append(np.asarray(answer.arrays[0], np.float32))
        told, stop = told or answer.told, int(answer.told["stop"])
    if progress is not None:
        progress(n, n)
    return np.concatenate(parts), told


def _plane_of(explored: Explored, text: str) -> tuple[str, tuple[int, int]]:
    """The set of controls and the numbers of two of them that a plane names, by default the first
    two of the last set.
    """
    by, *words = text.split("_") if text else [list(explored.controls)[-1]]
    controls = explored.controls_called(by).controls
    if not words:
        return by, (controls[0].number, controls[min(1, len(controls) - 1)].number)
    found = [whole_of({"": word}, "", -1) for word in words]
    if len(found) != 2 or min(found) < 0:
        raise ExplorerError(
            f"a plane is written as variables_3_5, a set and two of its numbers, not {text[:40]!r}"
        )
    return by, (found[0], found[1])


def _box_of(text: str) -> Box | None:
    if not text:
        return None
    try:
        found = [float(word) for word in text.split("_")]
    except ValueError as error:
        raise ExplorerError(f"{_BOX}, not {text[:40]!r}") from error
    if len(found) != 3 or not all(map(math.isfinite, found)) or found[2] <= 0:
        raise ExplorerError(f"{_BOX}, not {text[:40]!r}")
    return Box(*found)


def _taken(explored: Explored, fields: Mapping[str, str]) -> str | None:
    """The id of the image that a state starts from."""
    if fields.get("start") != "image":
        return None
    explored.codes.require(fields.get("image", ""))
    return fields["image"]
