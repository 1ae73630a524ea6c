"""Charts for print, by matplotlib: one style for all, at the width that they are printed at.

Sizes of letters and lines are in points, whatever the width, so that a figure is made at the width
of its column instead of being shrunk to it. matplotlib's own settings are left as they are.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from latentmap.printing import printable
from latentmap.report.colours import GREY, SERIES
from latentmap.report.pictured import Pictured

DPI = 150  # Of pictures of pixels, where nothing else is asked for.
PAGE = 17.0  # Centimetres: as wide as the text of a page.
COLUMN = 8.5  # The same of a column: figures up to about here have their panels below each other.
AXIS = 1.5  # Centimetres, of what stands at the left of an axis.
POINTS = 72 / 2.54  # Of a centimetre.

_DOTS = 450  # To an inch, of what a chart of lines and text holds as pixels: many points.
_TEXT, _SMALL = 8.0, 7.0  # Points, of what is read first, and of numbers and legends.
_LETTER = 0.55  # The mean width of a letter, over its size,
_DIGIT = 0.64  # and that of a digit.
_INSIDE = 0.9  # Of the width of an axis, between its first and its last number.
_STYLE = {
    "axes.axisbelow": True,
    "axes.labelsize": _TEXT,
    "axes.linewidth": 0.6,
    "axes.titlesize": _TEXT,
    "errorbar.capsize": 1.5,
    "figure.titlesize": _TEXT,
    "font.sans-serif": ["DejaVu Sans"],  # It comes with matplotlib, so it is everywhere the same.
    "font.size": _TEXT,
    "grid.color": GREY,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "image.cmap": "cividis",
    # Every image as it is: not resampled, not put together with others at the dpi of the figure.
    "image.composite_image": False,
    "image.interpolation": "none",
    "legend.fontsize": _SMALL,
    "legend.framealpha": 0.8,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "patch.linewidth": 0.8,
    # Text stays text: in a PDF with its font, in an SVG as it can be edited.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    # Equal figures are equal files.
    "svg.hashsalt": "latentmap",
    "xtick.labelsize": _SMALL,
    "xtick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.labelsize": _SMALL,
    "ytick.major.width": 0.6,
    "ytick.minor.width": 0.4,
}
_UNDATED: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


@dataclass(frozen=True, eq=False, repr=False)
class Plot(Pictured):
    """A chart that is drawn when its width is known: ``draw`` gets an empty figure of matplotlib,
    as wide as asked for or ``width`` centimetres, fills it and sets its height.
    """

    draw: Callable[[Any], None]
    width: float = PAGE

    def picture(self, *, width: float | None = None, dpi: int = DPI) -> Image.Image:
        """The chart as pixels, ``dpi`` to an inch."""
        buffer = io.BytesIO()
        with self._drawn(width) as figure:
            save_undated(figure, buffer, "png", dpi=dpi)
        picture = Image.open(buffer).convert("RGB")
        picture.info["dpi"] = (dpi, dpi)
        return picture

    def write(self, path: str | Path, kind: str, *, width: float | None = None) -> None:
        """Writes the chart as a ``kind`` of lines and text, pdf or svg."""
        with self._drawn(width) as figure:
            save_undated(figure, path, kind, dpi=_DOTS)

    @contextmanager
    def _drawn(self, width: float | None) -> Iterator[Any]:
        from matplotlib.figure import Figure

        with styled():
            inches = (width or self.width) / 2.54
            figure = Figure(figsize=(inches, inches), layout="constrained")
            self.draw(figure)
            yield figure


@contextmanager
def styled() -> Iterator[None]:
    """Draws in the style of these figures, whatever the settings of matplotlib."""
    from matplotlib import style
    from matplotlib.rcsetup import cycler

    with style.context(["default", {**_STYLE, "axes.prop_cycle": cycler(color=list(SERIES))}]):
        yield


def save_undated(
    figure: Any, target: str | Path | io.BytesIO, kind: str, *, dpi: int = DPI
) -> None:
    """Writes a figure of matplotlib without the time; what its texts quote is shown as it is: a
    name is no formula, and may have letters that the font lacks.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        lines = map(printable, text.get_text().split("\n"))
        text.set_text(unformatted("\n".join(lines)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(target, format=kind, dpi=dpi, metadata=_UNDATED.get(kind))


def unformatted(text: str) -> str:
    """A text as matplotlib shows it as it is: no formula."""
    return text.replace("$", r"\$")


def set_height(figure: Any, centimetres: float) -> None:
    """Makes a figure so high."""
    figure.set_figheight(centimetres / 2.54)


def width_of(figure: Any) -> float:
    """How wide a figure is, in centimetres."""
    return float(figure.get_figwidth() * 2.54)


def columns_of(figure: Any, panels: int) -> int:
    """How many of some panels stand side by side: all, or one in a figure that is narrow."""
    return panels if width_of(figure) >= COLUMN * 1.4 else 1


def count_across(axis: Any, numbers: Sequence[int], width: float) -> None:
    """Gives an axis of about ``width`` centimetres a logarithmic scale across, with those of the
    growing ``numbers`` under it whose texts do not touch; of two that do, the larger one stays.
    """
    extent = math.log(numbers[-1] / numbers[0]) or 1.0
    shown: list[int] = []
    end = math.inf
    for number in reversed(numbers):
        place = math.log(number / numbers[0]) / extent * width * POINTS * _INSIDE
        half = _SMALL * _DIGIT * (len(str(number)) + 1) / 2
        if place + half <= end:
            shown.append(number)
            end = place - half
    axis.set_xscale("log")
    axis.set_xticks(shown[::-1], labels=list(map(str, shown[::-1])))
    axis.minorticks_off()


def heading(figure: Any, text: str) -> None:
    """Puts a title above a figure, in as many lines as it needs."""
    figure.suptitle(wrapped(text, width_of(figure)))


def wrapped(text: str, width: float, *, size: float = _TEXT) -> str:
    """A text in lines that are no wider than ``width`` centimetres, in letters of ``size`` points;
    its own lines stay lines.
    """
    letters = max(8, int(width * POINTS / (size * _LETTER)))
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))
