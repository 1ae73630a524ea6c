"""Labelled rows of images, as pixels or for print.

Shapes: ``n`` images in a row, images ``(n, c, h, w)`` in [0, 1] with 1 or 3 channels. Lengths are
in units of 1/150 inch, which are pixels where nothing else is asked for.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from latentmap.errors import ImageError
from latentmap.printing import printable
from latentmap.report.pictured import Pictured
from latentmap.report.plots import DPI, save_undated, styled, unformatted

_READABLE = 96  # Cells are at least this high, so that a label of two lines fits beside them.
_GAP = 4.0
_MARGIN = 12.0
_SIZE = 15.0  # Of letters: 7.2 points.
_LINE = 20.0  # From a line of text to the next,
_TEXT_ROW = 48.0  # and the height of a row of texts alone, which has a label of two.
_LABEL_COLUMNS = 18  # Characters before a label goes on in the next line.
_MOST_LABEL = 0.25  # Labels that take more of the width stand above their rows.

Texts = Sequence[tuple[str, str]]  # Each with its colour.


@dataclass(frozen=True, eq=False)
class GridRow:
    """Images beside a label, with a text under each; or texts alone, in the columns of the others'
    images.
    """

    label: str
    images: torch.Tensor | None
    texts: Texts = ()


@dataclass(frozen=True)
class _PlacedText:
    """A text whose anchor is at ``(x, y)``; ``align`` is l, m or r."""

    text: str
    x: float
    y: float
    align: str = "m"
    colour: str = "black"


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where everything stands: pixels of images with the left upper corner of each, and texts."""

    width: float
    height: float
    cell: tuple[float, float]
    images: Sequence[tuple[np.ndarray, float, float]]
    texts: Sequence[_PlacedText]


@dataclass(frozen=True, eq=False, repr=False)
class ImageGrid(Pictured):
    """Rows of images, each with its label, below a ``key`` of texts in colours.

    Rows may differ in size, number and channels; every image is brought to one cell: ``scale``
    times the largest image, by default the whole number that makes a cell ``readable``, or what
    fills the width that is asked for.
    """

    rows: Sequence[GridRow]
    key: Texts = ()
    scale: int | None = None
    readable: int = _READABLE

    def __post_init__(self) -> None:
        if not any(row.images is not None and len(row.images) for row in self.rows):
            raise ImageError("a figure needs at least one image, but there is none")
        for row in self.rows:
            shape = None if row.images is None else tuple(row.images.shape)
            if shape is not None and (len(shape) != 4 or shape[1] not in (1, 3)):
                raise ImageError(
                    f"row {row.label!r} of a figure must have shape (n, 1, h, w) or (n, 3, h, w), "
                    f"not {shape}"
                )

    def picture(self, *, width: float | None = None, dpi: int = DPI) -> Image.Image:
        """The grid as an RGB picture, ``width`` centimetres wide at ``dpi`` pixels to an inch, or
        as many more as it takes to repeat the pixels of the largest images a whole number of times,
        so that nothing is invented. Smaller cells, and images that do not fit, are made by a
        Lanczos filter.
        """
        font = ImageFont.load_default(_SIZE)
        layout = self._layout(width, font.getlength)
        _, columns = self._largest
        ratio = dpi / DPI
        times = layout.cell[0] * ratio / columns
        if times >= 1:
            ratio *= math.ceil(times - 1e-6) / times
        cell = (max(1, round(layout.cell[0] * ratio)), max(1, round(layout.cell[1] * ratio)))
        size = (round(layout.width * ratio), round(layout.height * ratio))
        canvas = Image.new("RGB", size, "white")
        for pixels, x, y in layout.images:
            canvas.paste(_resized(pixels, cell), (round(x * ratio), round(y * ratio)))
        draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_SIZE * ratio)
        for one in layout.texts:
            place = (one.x * ratio, one.y * ratio)
            draw.multiline_text(place, one.text, one.colour, font, anchor=f"{one.align}m")
        canvas.info["dpi"] = (DPI * ratio, DPI * ratio)
        return canvas

    def write(self, path: str | Path, kind: str, *, width: float | None = None) -> None:
        """Writes the grid as a ``kind`` of lines and text, pdf or svg: every image with its own
        pixels, which are not smoothed, and texts as text.
        """
        from matplotlib.figure import Figure
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import TextPath

        with styled():
            letters = FontProperties(size=_SIZE)

            def length_of(text: str) -> float:
                return float(TextPath((0, 0), unformatted(text), prop=letters).get_extents().width)

            layout = self._layout(width, length_of)
            figure = Figure(figsize=(layout.width / DPI, layout.height / DPI))
            axis: Any = figure.add_axes((0, 0, 1, 1))
            axis.set_axis_off()
            for pixels, x, y in layout.images:
                right, low = x + layout.cell[0], y + layout.cell[1]
                shown = pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
                axis.imshow(shown, extent=(x, right, low, y), aspect="auto")
            for one in layout.texts:
                axis.text(
                    one.x,
                    one.y,
                    one.text,
                    size=_SIZE * 72 / DPI,
                    color=one.colour,
                    ha={"l": "left", "m": "center", "r": "right"}[one.align],
                    va="center",
                )
            axis.set_xlim(0, layout.width)
            axis.set_ylim(layout.height, 0)
            save_undated(figure, path, kind)

    @property
    def _largest(self) -> tuple[int, int]:
        """Height and width of the cell in pixels of the largest images."""
        shapes = [row.images.shape[2:] for row in self.rows if row.images is not None]
        return max(height for height, _ in shapes), max(width for _, width in shapes)

    def _layout(self, width: float | None, length_of: Callable[[str], float]) -> _Layout:
        """Places everything; ``width`` is in centimetres."""
        height_of, width_of = self._largest
        columns = max(len(row.texts if row.images is None else row.images) for row in self.rows)
        labels = [_broken(row.label) for row in self.rows]
        lines = [line for label in labels for line in label.split("\n") if line]
        widest = max(map(length_of, lines), default=0.0)
        left = math.floor(widest) + 2 * _MARGIN if lines else 0.0
        if width is None:
            whole = self.scale or max(1, -(-self.readable // height_of))
            cell = (float(width_of * whole), float(height_of * whole))
        else:
            total = width / 2.54 * DPI
            if left > _MOST_LABEL * total:
                left, labels = 0.0, [printable(row.label) for row in self.rows]
            across = max(1.0, (total - left - (columns - 1) * _GAP) / columns)
            cell = (across, across * height_of / width_of)
        above = bool(lines) and not left
        images: list[tuple[np.ndarray, float, float]] = []
        texts = _key_of(self.key, length_of)
        top = _LINE + _GAP if self.key else 0.0
        for row, label in zip(self.rows, labels, strict=True):
            if above and label:
                texts.append(_PlacedText(label, 0.0, top + _LINE / 2, "l"))
                top += _LINE
            height = cell[1]
            if row.images is None:
                height = _LINE if above else _TEXT_ROW - _GAP
            if label and not above:
                texts.append(_PlacedText(label, _MARGIN, top + height / 2, "l"))
            lefts = [left + column * (cell[0] + _GAP) for column in range(columns)]
            if row.images is not None:
                images += [
                    (_pixels(one), x, top) for one, x in zip(row.images, lefts, strict=False)
                ]
            middle = top + height / 2 if row.images is None else top + height + _LINE / 2
            texts += [
                _PlacedText(printable(text), x + cell[0] / 2, middle, colour=colour)
                for (text, colour), x in zip(row.texts, lefts, strict=False)
            ]
            top += height + _GAP + (_LINE if row.texts and row.images is not None else 0.0)
        across = left + columns * (cell[0] + _GAP) - _GAP
        return _Layout(across, top - _GAP, cell, images, texts)


def image_grid(
    rows: Sequence[tuple[str, torch.Tensor]],
    *,
    scale: int | None = None,
    below: tuple[str, Sequence[str]] | None = None,
) -> ImageGrid:
    """Rows of images, each with its label at the left.

    ``rows`` are pairs of a label and images ``(n, c, h, w)`` in [0, 1]; rows may differ in size,
    number and channels. Every image is brought to one cell: ``scale`` times the largest image, by
    default the whole number that makes a cell readable. Whole multiples repeat pixels, so that
    nothing is invented; other factors use a Lanczos filter. ``below`` is a line under the rows: its
    label, and a few characters for each column.

    Example:
        >>> image_grid([("black", torch.zeros(8, 3, 64, 64))]).picture().mode
        'RGB'

    Raises:
        ImageError: there is no image, or a row is no batch of grey or colour images.
    """
    lines = [GridRow(label, images) for label, images in rows]
    if below:
        lines.append(GridRow(below[0], None, [(text, "black") for text in below[1]]))
    return ImageGrid(lines, scale=scale)


def mosaic(images: torch.Tensor, *, scale: int | None = None) -> ImageGrid:
    """Images ``(n, c, h, w)`` side by side in rows, as near to a square as their number allows.

    Raises:
        ImageError: there is no image, or they are neither grey nor in colour.
    """
    columns = max(1, math.ceil(math.sqrt(len(images))))
    rows = [("", images[i : i + columns]) for i in range(0, len(images), columns)]
    return image_grid(rows, scale=scale)


def _broken(label: str) -> str:
    return textwrap.fill(printable(label), _LABEL_COLUMNS, break_long_words=True)


def _key_of(key: Texts, length_of: Callable[[str], float]) -> list[_PlacedText]:
    """The texts of a key side by side."""
    placed, left = [], _MARGIN
    for text, colour in key:
        placed.append(_PlacedText(text, left, _LINE / 2, "l", colour))
        left += length_of(text) + 2 * _MARGIN
    return placed


def _pixels(image: torch.Tensor) -> np.ndarray:
    """An image ``(c, h, w)`` as uint8 ``(h, w, c)``."""
    scaled = (image.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.asarray(scaled.permute(1, 2, 0).numpy())


def _resized(pixels: np.ndarray, cell: tuple[int, int]) -> Image.Image:
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    whole = cell[0] % picture.width == 0 and cell[1] % picture.height == 0
    return picture.resize(cell, Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS)
