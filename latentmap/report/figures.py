"""Figures as files: charts and grids of images, in the format that the suffix says."""

from __future__ import annotations

from pathlib import Path

from latentmap.errors import OutputError
from latentmap.files import replace_atomic
from latentmap.report.grids import ImageGrid
from latentmap.report.plots import DPI, Plot

VECTOR = ("pdf", "svg")
# With the names that Pillow has for those of pixels.
FORMATS = {
    **dict(zip(VECTOR, VECTOR, strict=True)),
    "png": "PNG",
    "jpg": "JPEG",
    "tif": "TIFF",
    "webp": "WEBP",
}
Figure = Plot | ImageGrid


def save_figure(
    figure: Figure, path: str | Path, *, width: float | None = None, dpi: int = DPI
) -> None:
    """Writes a figure, whole or not at all; the suffix decides the format.

    It is ``width`` centimetres wide, or as wide as it takes to be read; ``dpi`` is of pictures of
    pixels. In pdf and svg text is text, and images have their own pixels. Equal figures are equal
    files.

    Raises:
        OutputError: the suffix is of no figure, matplotlib is needed and missing, or the file
            cannot be written.
    """
    require_figure(path, plot=isinstance(figure, Plot))
    kind = _kind_of(path)
    with replace_atomic(path) as temporary:
        if kind in VECTOR:
            figure.write(temporary, kind, width=width)
        else:
            picture = figure.picture(width=width, dpi=dpi)
            picture.save(temporary, FORMATS[kind], dpi=picture.info["dpi"])


def require_figure(path: str | Path, *, plot: bool) -> None:
    """Refuses an output path that no figure can be written to, before any work is done; ``plot``
    tells that it is a chart.

    Raises:
        OutputError: no format has this suffix, or matplotlib is needed and missing.
    """
    kind = _kind_of(path)
    if kind not in FORMATS:
        *most, last = (f".{one}" for one in FORMATS)
        raise OutputError(
            f"{path} must end in {', '.join(most)} or {last}: that decides the format"
        )
    if plot or kind in VECTOR:
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            raise OutputError(
                'this figure needs matplotlib: pip install "latentmap[figures]"'
            ) from None


def _kind_of(path: str | Path) -> str:
    return Path(path).suffix.lower().removeprefix(".")
