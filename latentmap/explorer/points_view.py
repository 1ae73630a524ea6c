"""The view "Points": where the codes of the images lie in a plane, and the image of a point.

Many points are answered in parts, so that other questions are answered in between.
"""

from __future__ import annotations

import numpy as np

from latentmap.errors import ExplorerError
from latentmap.explorer.answers import Answer, Asked, text_in, whole_in
from latentmap.explorer.colouring import COLOURINGS
from latentmap.explorer.explored import Explored
from latentmap.explorer.pictures import as_source_sees
from latentmap.report.colours import LEVELS, colour

_MOST_CONTROL = 2**31


def list_colours(explored: Explored, asked: Asked) -> Answer:
    """How many points there are, of how many images, and what they can be coloured by."""
    points = explored.points
    known = [one for kind in COLOURINGS.values() for one in kind.offered(explored)]
    scale = ["#" + "".join(f"{part:02x}" for part in colour(level)) for level in range(LEVELS)]
    told = {"points": len(points), "images": points.total, "scale": scale}
    return Answer({**told, "colours": [{"name": name, "title": title} for name, title in known]})


def place_points(explored: Explored, asked: Asked) -> Answer:
    """Where points from ``start`` on lie: what the controls ``x`` and ``y`` of the set ``by`` read
    of their codes, ``(m, 2)``; up to ``stop``.
    """
    found = explored.controls_called(text_in(asked, "by"))
    axes = [whole_in(asked, name, most=_MOST_CONTROL) for name in ("x", "y")]
    for number in axes:
        if number >= len(found.controls):
            raise ExplorerError(
                f"{found.name} are 0 to {len(found.controls) - 1}: there is no {number}"
            )
    points = explored.points
    start = whole_in(asked, "start", most=len(points) - 1)
    part = points.part(start, explored.source.latent_dim)
    read = found.moving.read_some(points.read(part), axes)
    return Answer({"stop": part.stop}, arrays=[read.numpy().astype(np.float32)])


def show_point(explored: Explored, asked: Asked) -> Answer:
    """The id and the image of the point of a ``number``."""
    points = explored.points
    name = points.require(whole_in(asked, "number", most=len(points) - 1))
    _, pixels = as_source_sees(explored, [name])
    return Answer({"id": name}, pixels)
