"""The medium of results: tables, charts and pictures, drawn as a page from their JSON."""

from latentmap.report.figures import image_grid as image_grid
from latentmap.report.figures import mosaic as mosaic
from latentmap.report.figures import require_picture_suffix as require_picture_suffix
from latentmap.report.figures import save_figure as save_figure
from latentmap.report.figures import save_plot as save_plot
from latentmap.report.parts import Cell as Cell
from latentmap.report.parts import Column as Column
from latentmap.report.parts import ImageRow as ImageRow
from latentmap.report.parts import ImageRows as ImageRows
from latentmap.report.parts import Measure as Measure
from latentmap.report.parts import Picture as Picture
from latentmap.report.parts import Row as Row
from latentmap.report.parts import Section as Section
from latentmap.report.parts import Table as Table
from latentmap.report.shown import Shown as Shown
from latentmap.report.text import as_text as as_text
from latentmap.report.words import section_id as section_id
from latentmap.report.words import with_interval as with_interval
