"""Where the points and names of a plane are drawn, and the discs of a film."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from latentmap.report.parts import Film, Plane

WIDTH, HEIGHT = 460, 360
_MARGIN = 44
_ROOM_ABOVE_SCALE = 40
_LETTER = 7.4  # About the width of a letter of a name.
_LINE = 17  # The least distance between two names.
FILM = 420  # Both sides of a film.
_FILM_MARGIN = 14
_LEAST = 1.5  # The radius of a disc that is seen.
_DOT = 10  # From the centre of a dot to its name.


@dataclass(frozen=True)
class DrawnPoint:
    """A dot, and where its name starts, or ends (``anchor``)."""

    name: str
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class DrawnPlane:
    """A plane in pixels of a drawing of ``WIDTH`` by ``HEIGHT``.

    ``scale`` is a length that is easy to read, ``scale_pixels`` its length in the drawing.
    """

    points: Sequence[DrawnPoint]
    scale: float
    scale_pixels: float


@dataclass(frozen=True)
class DrawnFilm:
    """The discs ``(x, y, radius)`` of the last moment, and those of all as JSON, in pixels of a
    drawing of ``FILM`` by ``FILM``; ``moments`` is JSON too.
    """

    last: Sequence[Sequence[float]]
    discs: str
    moments: str


def draw_film(film: Film) -> DrawnFilm:
    """The discs of each moment, with 0 in the middle."""
    scale = (FILM / 2 - _FILM_MARGIN) / (film.reach or 1.0)

    def placed(disc: Sequence[float]) -> list[float]:
        x, y, radius = disc
        across, up = FILM / 2 + x * scale, FILM / 2 - y * scale
        return [round(across, 1), round(up, 1), round(max(radius * scale, _LEAST), 1)]

    drawn = [[placed(disc) for disc in moment] for moment in film.discs]
    moments = json.dumps(list(film.moments), ensure_ascii=False)
    return DrawnFilm(drawn[-1], json.dumps(drawn, separators=(",", ":")), moments)


def draw_plane(plane: Plane) -> DrawnPlane:
    """The plane as large as it fits, one scale for both axes; names do not lie on each other."""
    xs = [position[0] for position in plane.positions]
    ys = [position[1] for position in plane.positions]
    longest = max((len(name) for name in plane.names), default=0)
    width = WIDTH - 2 * _MARGIN - min(longest * _LETTER, WIDTH / 3)
    height = HEIGHT - _MARGIN - _ROOM_ABOVE_SCALE - _MARGIN / 2
    extents = [max(part) - min(part) if part else 0.0 for part in (xs, ys)]
    # Without any distance all lie in the middle, and the scale is that of a distance of 1.
    factor = min(
        (room / extent for room, extent in zip((width, height), extents, strict=True) if extent),
        default=width,
    )
    middle = [(max(part) + min(part)) / 2 if part else 0.0 for part in (xs, ys)]
    dots = [
        (
            WIDTH / 2 + (x - middle[0]) * factor,
            _MARGIN + height / 2 - (y - middle[1]) * factor,
        )
        for x, y in zip(xs, ys, strict=True)
    ]
    scale = round_length(width / 3 / factor)
    return DrawnPlane(_with_labels(plane.names, dots), scale, scale * factor)


def _with_labels(names: Sequence[str], dots: Sequence[tuple[float, float]]) -> list[DrawnPoint]:
    """Names on the side that has more room; one that would cover another goes below it."""
    placed: dict[int, DrawnPoint] = {}
    for number in sorted(range(len(dots)), key=lambda one: dots[one][1]):
        x, y = dots[number]
        length = len(names[number]) * _LETTER
        to_right = x + _DOT + length <= WIDTH - 4
        start = x + _DOT if to_right else x - _DOT - length
        label_y = y
        for other in placed.values():
            other_length = len(other.name) * _LETTER
            other_start = other.label_x - (0 if other.anchor == "start" else other_length)
            apart = start > other_start + other_length or other_start > start + length
            if not apart and label_y < other.label_y + _LINE:
                label_y = other.label_y + _LINE
        placed[number] = DrawnPoint(
            names[number],
            round(x, 1),
            round(y, 1),
            round(x + _DOT if to_right else x - _DOT, 1),
            round(label_y, 1),
            "start" if to_right else "end",
        )
    return [placed[number] for number in range(len(dots))]


def round_length(length: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9))
