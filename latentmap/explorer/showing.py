"""Pictures of a code: by the source, and carried to every target.

Shapes: codes ``(d,)`` float64, images ``(c, h, w)`` in [0, 1], pixels ``(h, w, c)`` uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from latentmap.explorer.explored import Explored, Target
from latentmap.explorer.places import Place
from latentmap.model import Model
from latentmap.report import ImageGrid, image_grid

Role = Literal["source", "mapped", "own"]
_TOLD = ("role", "model", "mse", "outside", "fitted")
_IN_WORDS = {"source": "the code", "mapped": "mapped", "own": "its own code"}


@dataclass(frozen=True, eq=False)
class ShownCode:
    """The ``image`` that ``model`` makes: of the code of a place (``source``), of that code
    ``mapped`` to a target, or of the target's ``own`` code of the same image of the data, whose
    image differs from the mapped one by ``mse``. Of a code ``outside`` of those that the map was
    fitted on it is a guess. ``fitted`` is whether the map was fitted on this very image, where it
    loses less than of others. ``number`` is that of the model, 0 for the source.
    """

    role: Role
    model: str
    image: Tensor
    mse: float | None = None
    outside: bool | None = None
    fitted: bool | None = None
    number: int = 0

    def to_json(self) -> dict[str, Any]:
        """What it is, without the image."""
        return {name: getattr(self, name) for name in _TOLD}

    @property
    def words(self) -> str:
        """What it is, in words."""
        guess = ", a guess" if self.outside else ""
        return f"{self.model}, {_IN_WORDS[self.role]}{guess}"

    @property
    def pixels(self) -> np.ndarray:
        """The image as uint8 ``(h, w, c)``."""
        return pixels_of(self.image)


def show_place(explored: Explored, place: Place) -> tuple[Tensor, list[ShownCode]]:
    """The code of a place, and its pictures; those of targets have their own codes beside them as
    long as nothing is moved from an image of the data. A model without decoder has no picture.

    Raises:
        ExplorerError: there is no such place.
        ModelError: the images are not finite.
    """
    code = explored.code_at(place)
    shown = []
    if explored.source.can_decode:
        (image,) = decode(explored.source, [code])
        shown.append(ShownCode("source", explored.source.name, image))
    for number, target in enumerate(explored.targets, 1):
        if target.model.can_decode:
            own = None if place.moves else explored.own_code(number, place.start)
            fitted = None
            if own is not None and place.start.kind == "image":
                fitted = explored.fitted.has(number - 1, place.start.image)
            shown += [replace(one, number=number) for one in _shown_by(target, code, own, fitted)]
    return code, shown


def _shown_by(
    target: Target, code: Tensor, own: Tensor | None, fitted: bool | None
) -> list[ShownCode]:
    name = target.model.name
    mapped = carry(target, code)
    outside = target.is_outside(code)
    if own is None:
        (image,) = decode(target.model, [mapped])
        return [ShownCode("mapped", name, image, outside=outside)]
    first, second = decode(target.model, [mapped, own])
    mse = mse_between(first, second)
    return [ShownCode("mapped", name, first, mse, outside, fitted), ShownCode("own", name, second)]


def mse_between(first: Tensor, second: Tensor) -> float:
    """The mean squared difference of two images."""
    return float((first.double() - second.double()).square().mean())


def carry(target: Target, code: Tensor) -> Tensor:
    """The code that the map makes of a code of the source."""
    return target.linear_map.apply(code[None].float())[0].double()


def decode(model: Model, codes: Sequence[Tensor]) -> Tensor:
    """The images ``(n, c, h, w)`` of some codes, on the CPU."""
    return model.decode(torch.stack([code.float() for code in codes])).cpu()


def pixels_of(image: Tensor) -> np.ndarray:
    """An image as uint8 ``(h, w, c)``."""
    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0)
    return np.ascontiguousarray(pixels.numpy())


def figure_of(explored: Explored, place: Place) -> tuple[ImageGrid, list[dict[str, Any]]]:
    """The pictures of a place as a figure, a row each, and what is known of each (JSON).

    Raises:
        ExplorerError: there is no such place.
        ImageError: no model decodes.
    """
    _, shown = show_place(explored, place)
    return image_grid([(one.words, one.image[None]) for one in shown]), [
        one.to_json() for one in shown
    ]
