"""What shows itself: the figures of a result as tables, printed and in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from latentmap.report.parts import Table
from latentmap.report.text import as_text


class Shown(ABC):
    """A result that says its figures once, as ``tables``: ``print`` and notebooks show these."""

    @abstractmethod
    def tables(self) -> Sequence[Table]:
        """Its figures, as ``print`` shows them."""

    def __str__(self) -> str:
        return as_text(self.tables())

    def _repr_html_(self) -> str:
        from latentmap.report.page import as_html

        return as_html(self.tables())
