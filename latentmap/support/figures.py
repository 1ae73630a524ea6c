"""Figures of a support set: its images by sector, and how many images every sector has.

Shapes: ``n`` images; pixels are uint8 ``(n, h, w, c)``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentmap.report import save_plot
from latentmap.support.occupancy import Occupancy
from latentmap.support.support_set import SupportSet

_READABLE = 64  # Cells are at least this high.
_GAP = 4
_CAPTION = 16
_FONT_SIZE = 12
_MARGIN = 8
_COLOURS = {"member": "black", "relaxed": "#c0392b", "fill-up": "#1f5fa8", "not chosen": "#999999"}
_MOST_BARS = 256  # More sectors are drawn as one outline.


def sector_grid(
    support: SupportSet, pixels: np.ndarray, *, others: np.ndarray | None = None
) -> Image.Image:
    """The images of a support set with the numbers of their sectors, in order; relaxed ones and
    those of the fill-up in another colour. ``others`` are further members of the one sector that
    all of them are of.
    """
    kinds = ["fill-up" if f else "relaxed" if r else "member" for f, r in _marks(support)]
    numbers = support.sector.tolist()
    if others is not None:
        pixels = np.concatenate([pixels, others])
        kinds += ["not chosen"] * len(others)
        numbers += numbers[:1] * len(others)
    _, height, width, _ = pixels.shape
    scale = max(1, -(-_READABLE // height))
    cell_height, cell_width = height * scale + _CAPTION + _GAP, max(width * scale + _GAP, 30)
    columns = _columns(len(pixels))
    rows = -(-len(pixels) // columns)
    canvas = Image.new(
        "RGB",
        (2 * _MARGIN + columns * cell_width - _GAP, 2 * _MARGIN + _CAPTION + rows * cell_height),
        "white",
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_FONT_SIZE)
    left = float(_MARGIN)
    for kind, colour in _COLOURS.items():
        if kind in kinds:
            draw.text((left, _MARGIN), kind, fill=colour, font=font)
            left += draw.textlength(f"{kind}    ", font=font)
    for place, (image, kind, number) in enumerate(zip(pixels, kinds, numbers, strict=True)):
        x = _MARGIN + place % columns * cell_width
        y = _MARGIN + _CAPTION + place // columns * cell_height
        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).convert("RGB")
        size = (width * scale, height * scale)
        canvas.paste(picture.resize(size, Image.Resampling.NEAREST), (x, y))
        draw.text(
            (x + width * scale / 2, y + height * scale + 1),
            str(number),
            fill=_COLOURS[kind],
            font=font,
            anchor="ma",
        )
    return canvas


def save_occupancy(occupancies: list[Occupancy], path: str | Path, *, title: str) -> None:
    """Draws the members of every sector, a panel a threshold, with what is expected as a line.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.9 * len(occupancies) + 0.4), layout="constrained")
    axes: Any = figure.subplots(len(occupancies), 1, squeeze=False)[:, 0]
    for axis, occupancy in zip(axes, occupancies, strict=True):
        counts, numbers = occupancy.counts, np.arange(len(occupancy.counts))
        if len(counts) <= _MOST_BARS:
            axis.bar(numbers, counts, width=0.9, color="#1f5fa8")
        else:
            axis.stairs(counts, np.arange(len(counts) + 1) - 0.5, fill=True, color="#1f5fa8")
        axis.axhline(
            occupancy.expected,
            color="#c0392b",
            linewidth=1.2,
            label=f"expected, {occupancy.reference.name}: {occupancy.expected:.3g}",
        )
        # Room for the legend.
        axis.set_ylim(top=1.2 * max(int(counts.max()), occupancy.expected))
        axis.set_xlim(-0.75, len(counts) - 0.25)
        axis.set_xlabel("sector")
        axis.set_ylabel("images")
        axis.set_title(_describe(occupancy), fontsize=10)
        axis.legend(fontsize=8, loc="upper right")
    figure.suptitle(title, fontsize=11)
    save_plot(figure, path)


def _marks(support: SupportSet) -> list[tuple[bool, bool]]:
    return list(zip(support.filled.tolist(), support.relaxed.tolist(), strict=True))


def _columns(n: int) -> int:
    """16 columns where sectors fill rows of 16, else a picture that is a little wider than high."""
    return 16 if n > 48 else max(1, math.ceil(math.sqrt(1.5 * n)))


def _describe(occupancy: Occupancy) -> str:
    occupied = int((occupancy.counts > 0).sum())
    text = (
        f"threshold {occupancy.threshold:g}: {int(occupancy.counts.sum())} of {occupancy.n} images "
        f"are members, of {occupied} of {len(occupancy.counts)} sectors"
    )
    if occupancy.test is None:
        return text
    text += f"; chi-square / null {occupancy.test.excess:.3g}, {occupancy.test.p_text}"
    return f"{text}; {occupancy.tested}" if occupancy.tested else text
