"""Figures made of images: labelled rows of them.

Shapes: ``n`` images in a row, images ``(n, c, h, w)`` in [0, 1] with 1 or 3 channels.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from latentmap.errors import ImageError, OutputError
from latentmap.files import replace_atomic
from latentmap.printing import printable

PLOT_DPI = 150  # Of figures of matplotlib.
_READABLE = 96  # Cells are at least this high, so that a label of two lines fits beside them.
_GAP = 4
_MARGIN = 12
_FONT_SIZE = 15
_DPI = 150  # Of plots.
_LINE = 48  # What is below the rows: a label of two lines.
_LABEL_COLUMNS = 18  # Characters before a label goes on in the next line.


def image_grid(
    rows: Sequence[tuple[str, torch.Tensor]],
    *,
    scale: int | None = None,
    below: tuple[str, Sequence[str]] | None = None,
) -> Image.Image:
    """Rows of images, each with its label at the left, as one RGB picture.

    ``rows`` are pairs of a label and images ``(n, c, h, w)`` in [0, 1]; rows may differ in size,
    number and channels. Every image is brought to one cell: ``scale`` times the largest image, by
    default the whole number that makes a cell readable. Whole multiples repeat pixels, so that
    nothing is invented; other factors use a Lanczos filter. ``below`` is a line under the rows: its
    label, and a few characters for each column.

    Example:
        >>> image_grid([("black", torch.zeros(8, 3, 64, 64))]).mode
        'RGB'

    Raises:
        ImageError: there is no image, or a row is no batch of grey or colour images.
    """
    _check_rows(rows)
    height = max(images.shape[2] for _, images in rows)
    width = max(images.shape[3] for _, images in rows)
    factor = scale or max(1, -(-_READABLE // height))
    cell = (width * factor, height * factor)
    font = ImageFont.load_default(_FONT_SIZE)
    named = [label for label, _ in rows] + ([below[0]] if below else [])
    labels = [
        textwrap.fill(printable(label), _LABEL_COLUMNS, break_long_words=True) for label in named
    ]
    label_width = _label_width(labels, font)
    columns = max(len(images) for _, images in rows)
    canvas = Image.new(
        "RGB",
        (
            label_width + columns * (cell[0] + _GAP) - _GAP,
            len(rows) * (cell[1] + _GAP) - _GAP + (_LINE if below else 0),
        ),
        "white",
    )
    draw = ImageDraw.Draw(canvas)
    for number, (label, (_, images)) in enumerate(zip(labels, rows, strict=False)):
        top = number * (cell[1] + _GAP)
        draw.multiline_text(
            (_MARGIN, top + cell[1] / 2), label, fill="black", font=font, anchor="lm"
        )
        for column, image in enumerate(images):
            canvas.paste(_cell_image(image, cell), (label_width + column * (cell[0] + _GAP), top))
    if below:
        middle = canvas.height - _LINE / 2
        draw.multiline_text((_MARGIN, middle), labels[-1], fill="black", font=font, anchor="lm")
        for column, text in enumerate(below[1]):
            left = label_width + column * (cell[0] + _GAP) + cell[0] / 2
            draw.text((left, middle), text, fill="black", font=font, anchor="mm")
    return canvas


def mosaic(images: torch.Tensor, *, scale: int | None = None) -> Image.Image:
    """Images ``(n, c, h, w)`` side by side in rows, as near to a square as their number allows.

    Raises:
        ImageError: there is no image, or they are neither grey nor in colour.
    """
    columns = max(1, math.ceil(math.sqrt(len(images))))
    rows = [("", images[i : i + columns]) for i in range(0, len(images), columns)]
    return image_grid(rows, scale=scale)


def save_figure(figure: Image.Image, path: str | Path) -> None:
    """Writes a figure, whole or not at all; the suffix decides the format.

    Raises:
        OutputError: the suffix is of no picture, or the file cannot be written.
    """
    require_picture_suffix(path)
    with replace_atomic(path) as temporary:
        figure.save(temporary)


def save_plot(figure: Any, path: str | Path) -> None:
    """Writes a figure of matplotlib, whole or not at all; the suffix decides the format.

    What its texts quote is shown as it is: a name is no formula, and may have letters that the font
    lacks.

    Raises:
        OutputError: the file cannot be written.
    """
    with replace_atomic(path) as temporary:
        _draw_plot(figure, temporary)


def plot_image(figure: Any) -> Image.Image:
    """A figure of matplotlib as a picture among others, its texts as ``save_plot`` shows them."""
    buffer = io.BytesIO()
    _draw_plot(figure, buffer)
    return Image.open(buffer).convert("RGB")


def _draw_plot(figure: Any, target: Path | io.BytesIO) -> None:
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        lines = map(printable, text.get_text().split("\n"))
        text.set_text("\n".join(lines).replace("$", r"\$"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(target, dpi=PLOT_DPI)


def require_picture_suffix(path: str | Path) -> None:
    """Refuses an output path whose suffix is of no picture, before any work is done.

    Raises:
        OutputError: no format that can be written has this suffix.
    """
    if Image.registered_extensions().get(Path(path).suffix.lower()) not in Image.SAVE:
        raise OutputError(
            f"{path} must end as a picture does, such as .png: that decides the format"
        )


def _check_rows(rows: Sequence[tuple[str, torch.Tensor]]) -> None:
    if not any(len(images) for _, images in rows):
        raise ImageError("a figure needs at least one image, but there is none")
    for label, images in rows:
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ImageError(
                f"row {label!r} of a figure must have shape (n, 1, h, w) or (n, 3, h, w), not "
                f"{tuple(images.shape)}"
            )


def _label_width(labels: Sequence[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    if not any(labels):
        return 0
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    widest = max(draw.multiline_textbbox((0, 0), label, font=font)[2] for label in labels)
    return int(widest) + 2 * _MARGIN


def _cell_image(image: torch.Tensor, cell: tuple[int, int]) -> Image.Image:
    pixels = (
        (image.detach().cpu().float().clamp(0, 1) * 255)
        .round()
        .to(torch.uint8)
        .permute(1, 2, 0)
        .numpy()
    )
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    whole = cell[0] % picture.width == 0 and cell[1] % picture.height == 0
    return picture.resize(cell, Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS)
