"""The view "A to B": the line between two codes, as a strip, and as files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlencode

import numpy as np

from latentmap.errors import ExplorerError
from latentmap.explorer.answers import Answer, Asked, File, text_in
from latentmap.explorer.explored import Explored
from latentmap.explorer.line_report import line_section
from latentmap.explorer.lines import (
    Line,
    LineRow,
    Playing,
    ends_of,
    figure_of_line,
    frames_of_line,
    read_line,
    show_line,
)
from latentmap.explorer.pictures import as_source_sees
from latentmap.explorer.places import Place, read_place
from latentmap.report.animations import AnimationKind, animation
from latentmap.report.store import add_section

_MOST_ADDED = 200  # Whoever has the link may add to the disk.


def line(explored: Explored, asked: Asked) -> Answer:
    """The images of the line of ``state``, row by row, and where they are guesses."""
    found, _ = read_line(text_in(asked, "state"))
    rows = [row.reduced() for row in show_line(explored, found)]
    ends = ends_of(explored, found)
    originals = [_original(explored, read_place(end)) for end in ends]
    return Answer(
        {
            "ends": ends,
            "originals": [original is not None for original in originals],
            "steps": found.steps,
            "rows": [row.to_json() for row in rows],
        },
        [
            *(pixels for row in rows for pixels in row.pictures),
            *(original for original in originals if original is not None),
        ],
    )


def line_file(explored: Explored, asked: Asked) -> Answer:
    """The line of ``state`` as a file of a ``kind``: a picture (png), or an animation."""
    kind = text_in(asked, "kind")
    found, playing = read_line(text_in(asked, "state"))
    rows = partial(_rows, explored, found)
    writers: dict[str, Callable[[], Callable[[], bytes]]] = {
        "png": lambda: partial(_picture, rows()),
        "gif": lambda: partial(_moving, rows(), "gif", playing),
        "webp": lambda: partial(_moving, rows(), "webp", playing),
    }
    if kind not in writers:
        raise ExplorerError(f"a line is written as png, gif or webp, not as {kind[:40]!r}")
    write = writers[kind]()
    return Answer({"kind": kind}, files=[File(f"image/{kind}", write)])


def line_to_report(explored: Explored, asked: Asked) -> Answer:
    """Adds the line of ``state`` to the report; tells whether it was there."""
    if explored.report is None:
        raise ExplorerError("there is no report here: give the command a folder for it (--report)")
    found, _ = read_line(text_in(asked, "state"))
    a, b = ends_of(explored, found)
    state = urlencode({"view": "line", "a": a, "b": b, "steps": found.steps})
    section = line_section(explored, found, _rows(explored, found), state)
    if len(explored.added | {section.id}) > _MOST_ADDED:
        raise ExplorerError(
            f"the report got {_MOST_ADDED} lines since the explorer was started: start it again "
            "to add more"
        )
    explored.added.add(section.id)
    return Answer({"replaced": add_section(explored.report, section)})


def _picture(rows: Sequence[LineRow]) -> bytes:
    file = io.BytesIO()
    figure_of_line(rows).picture().save(file, "PNG")
    return file.getvalue()


def _moving(rows: Sequence[LineRow], kind: AnimationKind, playing: Playing) -> bytes:
    frames = frames_of_line(rows)
    return animation(frames, kind=kind, per_second=playing.speed, loop=playing.loop)


def _original(explored: Explored, place: Place) -> np.ndarray | None:
    """The image that a place is the code of, as the source sees it, where there is one."""
    if place.moves:
        return None
    if place.start.kind == "upload":
        return explored.uploads.require(place.start.upload).pixels[0]
    if place.start.kind == "image":
        return next(iter(as_source_sees(explored, [place.start.image])[1]), None)
    return None


def _rows(explored: Explored, found: Line) -> list[LineRow]:
    rows = [row.reduced() for row in show_line(explored, found)]
    if not rows:
        raise ExplorerError("no model here decodes, so that a line has no picture")
    return rows
