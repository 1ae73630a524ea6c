"""Boxes of the pictures that a generator makes: what an inversion network sees of them."""

from __future__ import annotations

from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.model import Model


def box_shape(generator: Model, box: str) -> tuple[int, int, int]:
    """Channels, height and width of a box of the generated pictures, in whole pixels."""
    channels, height, width = generator.image_shape
    top, left, bottom, right = Frame(box).pixels(height, width)
    return (channels, bottom - top, right - left)


def box_frame(generator: Model, box: str) -> Frame:
    """The frame that shows a box of the generator's frame; exactly the pixels of ``box_shape``.

    Raises:
        ModelError: the generator's frame is another box of every picture.
    """
    outer = generator.frame
    _, height, width = generator.image_shape
    inner = Frame(box).pixels(height, width)
    if inner == (0, 0, height, width):
        return outer
    if outer.name == "center":
        raise ModelError(
            f"{generator.name} has the frame center, another box of every picture, so that a view "
            f"{box} of it is none: leave it out, or train the generator with top,left,bottom,right"
        )
    top, left, bottom, right = outer.box(height, width)
    edges = (
        top + (bottom - top) * inner[0] / height,
        left + (right - left) * inner[1] / width,
        top + (bottom - top) * inner[2] / height,
        left + (right - left) * inner[3] / width,
    )
    return Frame(",".join(map(repr, edges)), outer.resize)
