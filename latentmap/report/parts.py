"""What a report consists of: sections of tables and figures, as plain values.

Everything that is shown is in these, images included, so that the file of a report can be read
again and drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar

from latentmap.intervals import Estimate, defined
from latentmap.printing import encodable
from latentmap.report.pictures import ImageRows, Picture

Better = Literal["", "high", "low"]


@dataclass(frozen=True)
class Measure:
    """A number with its 95 % interval, None where not defined, and what is to be said of it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""

    @classmethod
    def of(cls, estimate: Estimate, note: str = "") -> Measure:
        """An estimate as it stands in a table."""
        value, low, high = (defined(number) for number in estimate)
        return cls(value, low, high, note)


Cell = str | int | float | None | Measure


@dataclass(frozen=True)
class Column:
    """The head of a column; ``meaning`` says what its numbers are, ``better`` which are good, and
    ``decimals`` how many they have at least.
    """

    title: str
    meaning: str = ""
    better: Better = ""
    decimals: int = 0


_Head = TypeVar("_Head", bound=str | Column)


@dataclass(frozen=True)
class Row:
    """The cells of a line; ``link`` is the id of the part of the page that shows it."""

    cells: Sequence[Cell]
    link: str = ""


@dataclass(frozen=True)
class Table:
    """Rows that can be sorted by every column; ``note`` says how to read them.

    One that is ``upright`` has one row, and shows its columns below each other.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""
    upright: bool = False
    kind: Literal["table"] = "table"

    @classmethod
    def of_one(cls, title: str, cells: Mapping[_Head, Cell], note: str = "") -> Table:
        """What is to be said of one thing, by the titles of the columns; what is None is not."""
        known = {column: cell for column, cell in cells.items() if cell is not None}
        columns = [Column(one) if isinstance(one, str) else one for one in known]
        return cls(title, columns, [Row(list(known.values()))], note, upright=True)

    @classmethod
    def listed(cls, title: str, titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
        """Rows of cells under the titles of their columns."""
        return cls(title, [Column(one) for one in titles], [Row(cells) for cells in rows])

    def to_csv(self) -> str:
        """The table as CSV, with all digits; see ``latentmap.report.formats``."""
        from latentmap.report.formats import to_csv

        return to_csv(self)

    def to_markdown(self) -> str:
        """The table as Markdown, with the digits that are shown."""
        from latentmap.report.formats import to_markdown

        return to_markdown(self)

    def to_latex(self) -> str:
        """The table as LaTeX for ``booktabs``, with its title and note as the caption."""
        from latentmap.report.formats import to_latex

        return to_latex(self)

    def without(self, *titles: str) -> Table:
        """The same without some columns."""
        kept = [i for i, column in enumerate(self.columns) if column.title not in titles]
        rows = [Row([row.cells[i] for i in kept], row.link) for row in self.rows]
        return replace(self, columns=[self.columns[i] for i in kept], rows=rows)

    def bare(self, *titles: str) -> Table:
        """The same without the intervals of some columns."""
        chosen = {i for i, column in enumerate(self.columns) if column.title in titles}
        rows = [
            Row(
                [
                    cell.value if i in chosen and isinstance(cell, Measure) else cell
                    for i, cell in enumerate(row.cells)
                ],
                row.link,
            )
            for row in self.rows
        ]
        return replace(self, rows=rows)


@dataclass(frozen=True)
class HeatCell:
    """One field of a heat map: in words in ``meaning``; ``link`` as that of a row. ``mark`` stands
    beside the number.
    """

    value: float | None
    meaning: str
    link: str = ""
    mark: str = ""


@dataclass(frozen=True)
class HeatMap:
    """A number for each pair of names, from 0 (dark) to 1 (light), as colours and as text.

    ``cells`` has one row for each name that is the source and a field in it for each target; None
    where there is none.
    """

    title: str
    names: Sequence[str]
    cells: Sequence[Sequence[HeatCell | None]]
    note: str = ""
    kind: Literal["heat map"] = "heat map"


@dataclass(frozen=True)
class Plane:
    """Names at positions ``(x, y)`` in a plane, whose distances mean something."""

    title: str
    names: Sequence[str]
    positions: Sequence[Sequence[float]]
    alternative: str
    note: str = ""
    kind: Literal["plane"] = "plane"


@dataclass(frozen=True)
class Bars:
    """How many there are of each of the numbers 0, 1, ...; ``expected`` is a line across them.

    ``axis`` says what the numbers are.
    """

    title: str
    axis: str
    values: Sequence[int]
    expected: float
    alternative: str
    note: str = ""
    kind: Literal["bars"] = "bars"


@dataclass(frozen=True)
class Curve:
    """A measure at each of the growing numbers ``at``, which are positive; ``axis`` says what they
    are. A ``level`` is a line across them.
    """

    title: str
    axis: str
    at: Sequence[int]
    measures: Sequence[Measure]
    alternative: str
    note: str = ""
    level: float | None = None
    kind: Literal["curve"] = "curve"


@dataclass(frozen=True)
class Lines:
    """Numbers at each of the growing numbers ``at``, a line for each thing; ``axis`` says what they
    are. Those in ``apart`` have another colour.
    """

    title: str
    axis: str
    at: Sequence[float]
    lines: Sequence[Sequence[float]]
    apart: Sequence[int]
    alternative: str
    note: str = ""
    kind: Literal["lines"] = "lines"


@dataclass(frozen=True)
class Film:
    """Discs that move in a plane: for each of the ``moments``, in words, a disc ``(x, y, radius)``
    of each thing, ``groups`` says of which of the ``names``. All lie within ``reach`` of 0;
    ``axes`` says what is across and what is up.
    """

    title: str
    axes: Sequence[str]
    reach: float
    moments: Sequence[str]
    discs: Sequence[Sequence[Sequence[float]]]
    groups: Sequence[int]
    names: Sequence[str]
    alternative: str
    note: str = ""
    kind: Literal["film"] = "film"


Block = Table | ImageRows | Picture | HeatMap | Plane | Bars | Curve | Lines | Film


@dataclass(frozen=True)
class Section:
    """A part of a report with a title of its own.

    A section with the ``id`` of another takes its place. ``text`` are paragraphs, ``record`` says
    what made it.
    """

    id: str
    title: str
    text: Sequence[str] = ()
    blocks: Sequence[Block] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Sections in the order in which they are shown.

    Example:
        >>> Report("Two spaces", [Section("scores", "Scores")]).to_json()["sections"][0]["id"]
        'scores'
    """

    title: str
    sections: Sequence[Section] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it, images as data URIs; None for a number that is not finite, and escapes for
        bytes of names that are no UTF-8.
        """
        content: dict[str, Any] = _plain(asdict(self))
        return content

    def with_section(self, section: Section) -> Report:
        """The same with a section more, or in place of that with its id."""
        known = {one.id: one for one in self.sections}
        return Report(self.title, list((known | {section.id: section}).values()))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return defined(value)
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable(str(key)): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
