"""Figures of a support set: its images by sector, and how many images every sector has.

Shapes: ``n`` images; pixels are uint8 ``(n, h, w, c)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from latentmap.report import GridRow, ImageGrid, Plot
from latentmap.report.colours import BLACK, BLUE, GREY, VERMILION
from latentmap.report.plots import heading, set_height, width_of, wrapped
from latentmap.support.occupancy import Occupancy
from latentmap.support.support_set import SupportSet

_READABLE = 64  # Cells are at least this high.
_COLOURS = {"member": BLACK, "relaxed": VERMILION, "fill-up": BLUE, "not chosen": GREY}
_MOST_BARS = 256  # More sectors are drawn as one outline.


def sector_grid(
    support: SupportSet, pixels: np.ndarray, *, others: np.ndarray | None = None
) -> ImageGrid:
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
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    texts = [(str(number), _COLOURS[kind]) for number, kind in zip(numbers, kinds, strict=True)]
    columns = _columns(len(pixels))
    rows = [
        GridRow("", images[i : i + columns], texts[i : i + columns])
        for i in range(0, len(images), columns)
    ]
    key = [(kind, colour) for kind, colour in _COLOURS.items() if kind in kinds]
    return ImageGrid(rows, key, readable=_READABLE)


def occupancy_plot(occupancies: Sequence[Occupancy], *, title: str) -> Plot:
    """The members of every sector, a panel a threshold, with what is expected as a line."""

    def draw(figure: Any) -> None:
        set_height(figure, 6.0 * len(occupancies))
        axes = figure.subplots(len(occupancies), 1, squeeze=False)[:, 0]
        for axis, occupancy in zip(axes, occupancies, strict=True):
            _draw_counts(axis, occupancy)
            axis.set_title(wrapped(_describe(occupancy), width_of(figure) - 2))
        heading(figure, title)

    return Plot(draw)


def _draw_counts(axis: Any, occupancy: Occupancy) -> None:
    from matplotlib.ticker import MaxNLocator

    counts, numbers = occupancy.counts, np.arange(len(occupancy.counts))
    if len(counts) <= _MOST_BARS:
        axis.bar(numbers, counts, width=0.9, color=BLUE)
    else:
        axis.stairs(counts, np.arange(len(counts) + 1) - 0.5, fill=True, color=BLUE)
    axis.axhline(
        occupancy.expected,
        color=VERMILION,
        label=f"expected, {occupancy.reference.name}: {occupancy.expected:.3g}",
    )
    # Room for the legend.
    axis.set_ylim(top=1.2 * max(int(counts.max()), occupancy.expected))
    axis.set_xlim(-0.75, len(counts) - 0.25)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("sector")
    axis.set_ylabel("images")
    axis.legend(loc="upper right")


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
