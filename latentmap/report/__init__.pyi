from .figures import image_grid, mosaic, require_picture_suffix, save_figure, save_plot
from .parts import Cell, Column, Measure, Row, Section, Table
from .pictures import ImageRow, ImageRows, Picture
from .shown import Shown
from .text import as_text
from .words import section_id, titled, with_interval

__all__ = [
    "Cell",
    "Column",
    "ImageRow",
    "ImageRows",
    "Measure",
    "Picture",
    "Row",
    "Section",
    "Shown",
    "Table",
    "as_text",
    "image_grid",
    "mosaic",
    "require_picture_suffix",
    "save_figure",
    "save_plot",
    "section_id",
    "titled",
    "with_interval",
]
