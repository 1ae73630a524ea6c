from .figures import Figure, require_figure, save_figure
from .grids import GridRow, ImageGrid, image_grid, mosaic
from .parts import Cell, Column, Measure, Row, Section, Table
from .pictures import ImageRow, ImageRows, Picture
from .plots import Plot
from .shown import Shown
from .text import as_text
from .words import section_id, titled, with_interval

__all__ = [
    "Cell",
    "Column",
    "Figure",
    "GridRow",
    "ImageGrid",
    "ImageRow",
    "ImageRows",
    "Measure",
    "Picture",
    "Plot",
    "Row",
    "Section",
    "Shown",
    "Table",
    "as_text",
    "image_grid",
    "mosaic",
    "require_figure",
    "save_figure",
    "section_id",
    "titled",
    "with_interval",
]
