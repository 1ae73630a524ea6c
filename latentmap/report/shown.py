"""What shows itself: the figures of a result as tables, in print, a notebook, or a DataFrame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentmap.report.parts import Table
from latentmap.report.text import as_text

if TYPE_CHECKING:
    from pandas import DataFrame


class Shown(ABC):
    """A result that says its figures once, as ``tables``: ``print`` and notebooks show these."""

    @abstractmethod
    def tables(self) -> Sequence[Table]:
        """Its figures, as ``print`` shows them."""

    def whole_tables(self) -> Sequence[Table]:
        """The same with what ``tables`` leaves out where a terminal has no room for it."""
        return self.tables()

    def to_frame(self) -> DataFrame:
        """Its figures as a DataFrame, a row each: what it is of, ``figure``, ``value``, and
        the ends ``low`` and ``high`` of its interval.

        Raises:
            LatentmapError: pandas is not installed.
        """
        from latentmap.report.data_frames import tidy_frame

        return tidy_frame(self.whole_tables())

    def __str__(self) -> str:
        return as_text(self.tables())

    def _repr_html_(self) -> str:
        from latentmap.report.page import as_html

        return as_html(self.tables())
