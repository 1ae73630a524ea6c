"""Lines: the codes between two places of the source, and their images in every target.

A line stands in a state by its ends ``a`` and ``b``, a place each, written as a state of its own,
and the number of its ``steps``; ``speed`` and ``loop`` say how it is played. Shapes: ``k`` steps,
codes ``(k, d)`` float64, images ``(k, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args
from urllib.parse import urlencode

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ExplorerError
from latentmap.explorer.explored import Explored, Target
from latentmap.explorer.places import read_fields, read_place
from latentmap.explorer.showing import Role, ShownCode, pixels_of
from latentmap.frames import Frame, crop_resize_stack
from latentmap.model import Model
from latentmap.report import ImageGrid, image_grid
from latentmap.report.animations import Loop

_FEWEST, _STEPS, _MOST = 2, 9, 32
SPEEDS = (1, 2, 4, 8, 16)  # Steps in a second.
_AT_ONCE = 1 << 22  # Numbers of images that are decoded together.
_SIDE = 256  # Pixels of an image on the page: there are a hundred of them.


@dataclass(frozen=True)
class Line:
    """The ends ``a`` and ``b``, states of places, empty for the first and the second image of the
    data, with ``steps`` codes from one to the other.
    """

    a: str = ""
    b: str = ""
    steps: int = _STEPS


@dataclass(frozen=True)
class Playing:
    """How a line is played: ``speed`` steps a second, once, again and again, or there and back."""

    speed: int = 8
    loop: Loop = "back"


@dataclass(frozen=True, eq=False)
class LineRow:
    """What ``model`` makes of a line: ``images`` of its codes (``source``), or of the ``mapped``
    ones, of which those ``outside`` of the fitted codes are guesses.
    """

    role: Role
    model: str
    images: Tensor
    outside: Sequence[bool | None]

    def to_json(self) -> dict[str, Any]:
        """What it is, without the images."""
        return {"role": self.role, "model": self.model, "outside": list(self.outside)}

    @property
    def words(self) -> str:
        """What it is, in words."""
        return ShownCode(self.role, self.model, self.images[0]).words

    @property
    def pictures(self) -> list[np.ndarray]:
        """The images as uint8 ``(h, w, c)``."""
        return [pixels_of(image) for image in self.images]

    def reduced(self) -> LineRow:
        """The same with large images made smaller."""
        height, width = self.images.shape[2:]
        factor = _SIDE / max(height, width)
        if factor >= 1:
            return self
        size = (max(1, round(height * factor)), max(1, round(width * factor)))
        out = np.empty((len(self.images), *size, self.images.shape[1]), np.uint8)
        crop_resize_stack(np.stack(self.pictures), Frame(resize="pillow-lanczos"), out)
        return replace(self, images=torch.from_numpy(out).permute(0, 3, 1, 2).float().div_(255))


def read_line(text: str) -> tuple[Line, Playing]:
    """The line that a state says, and how it is played.

    Raises:
        ExplorerError: it is no state, or says what cannot be.

    Example:
        >>> read_line("a=start%3Drandom%26seed%3D4&steps=5")[0]
        Line(a='start=random&seed=4', b='', steps=5)
    """
    found = read_fields(text)
    steps = found.get("steps", str(_STEPS))
    if not (steps.isascii() and steps.isdigit() and len(steps) < 4):
        steps = "0"
    if not _FEWEST <= int(steps) <= _MOST:
        raise ExplorerError(f"a line has {_FEWEST} to {_MOST} steps: choose another number of them")
    playing = Playing()
    speed, loop = found.get("speed", str(playing.speed)), found.get("loop", playing.loop)
    if speed not in map(str, SPEEDS):
        speeds = ", ".join(map(str, SPEEDS))
        raise ExplorerError(f"a line is played at a speed of {speeds}, not {speed[:40]!r}")
    known: dict[str, Loop] = {one: one for one in get_args(Loop)}
    if loop not in known:
        raise ExplorerError(f"a line is played {', '.join(known)}, not {loop[:40]!r}")
    line = Line(found.get("a", ""), found.get("b", ""), int(steps))
    return line, Playing(int(speed), known[loop])


def ends_of(explored: Explored, line: Line) -> tuple[str, str]:
    """The states of the places at both ends."""
    ids = explored.codes.codes.ids
    first, second = str(ids[0]), str(ids[min(1, len(ids) - 1)])
    return line.a or _image_state(first), line.b or _image_state(second)


def codes_along(explored: Explored, line: Line) -> Tensor:
    """The codes ``(k, d)`` from one end to the other.

    Raises:
        ExplorerError: an end is no place.
    """
    a, b = (explored.code_at(read_place(end)) for end in ends_of(explored, line))
    shares = torch.linspace(0, 1, line.steps, dtype=a.dtype)[:, None]
    return torch.lerp(a[None], b[None], shares)


def show_line(explored: Explored, line: Line) -> list[LineRow]:
    """The rows of a line: of the source, and of every target; a model without decoder has none.

    Raises:
        ExplorerError: an end is no place.
        ModelError: the images are not finite.
    """
    codes = codes_along(explored, line)
    rows = []
    if explored.source.can_decode:
        images = _decoded(explored.source, codes)
        rows.append(LineRow("source", explored.source.name, images, [None] * line.steps))
    for target in explored.targets:
        if target.model.can_decode:
            rows.append(_row_of(target, codes))
    return rows


def figure_of_line(rows: Sequence[LineRow]) -> ImageGrid:
    """A line as a figure.

    Raises:
        ImageError: no model decodes.
    """
    return image_grid([(row.words, row.images) for row in rows])


def frames_of_line(rows: Sequence[LineRow]) -> list[ImageGrid]:
    """A line as a figure for each step.

    Raises:
        ImageError: no model decodes.
    """
    steps = range(max((len(row.images) for row in rows), default=1))
    return [image_grid([(row.words, row.images[i : i + 1]) for row in rows]) for i in steps]


def _row_of(target: Target, codes: Tensor) -> LineRow:
    images = _decoded(target.model, target.linear_map.apply(codes.float()))
    return LineRow("mapped", target.model.name, images, [target.is_outside(code) for code in codes])


def _decoded(model: Model, codes: Tensor) -> Tensor:
    few = max(1, _AT_ONCE // int(np.prod(model.image_shape)))
    return torch.cat([model.decode(part.float()).cpu() for part in codes.split(few)])


def _image_state(name: str) -> str:
    return urlencode({"start": "image", "image": name})
