"""Tables for other programs: CSV with all digits, Markdown and LaTeX with those that are shown."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence

from latentmap.intervals import defined
from latentmap.printing import printable
from latentmap.report.cells import cell_texts, decimals_of, is_number
from latentmap.report.parts import Cell, Measure, Table

_MINUS = "\N{MINUS SIGN}"
_MARKDOWN = re.compile(r"([\\`*_<|~])")
_LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # Letters that the fonts of LaTeX lack, or show as others.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    _MINUS: "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "°": r"$^{\circ}$",
    "²": r"$^{2}$",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "…": r"\ldots{}",
}
_FORMULA = ("=", "+", "-", "@")  # What a spreadsheet computes begins with one of these.
_BETTER = {"high": " ↑", "low": " ↓", "": ""}


def to_csv(table: Table) -> str:
    """A table as CSV (RFC 4180, lines end with a line feed alone): a line of heads, and numbers
    with all their digits. A column with intervals or notes is followed by their columns, ``x low``,
    ``x high`` and ``x note``; a cell without a value is empty. Text that a spreadsheet would take
    for a formula has an apostrophe before it, as OWASP recommends.

    Example:
        >>> from latentmap.report import Column, Row
        >>> print(to_csv(Table("T", [Column("R2")], [Row([Measure(0.5, 0.4, 0.6)])])), end="")
        R2,R2 low,R2 high
        0.5,0.4,0.6
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    columns = [_parts_of(table, number) for number in range(len(table.columns))]
    writer.writerow([head for parts in columns for head, _ in parts])
    for row in table.rows:
        writer.writerow(
            [
                part(cell)
                for cell, parts in zip(row.cells, columns, strict=True)
                for _, part in parts
            ]
        )
    return written.getvalue()


def to_markdown(table: Table) -> str:
    """A table as Markdown (of GitHub and others): intervals stand behind their numbers, which have
    the digits that are shown; without the title and the note.

    Example:
        >>> from latentmap.report import Column, Row
        >>> rows = [Row(["a|b", Measure(0.5, 0.4, 0.6)])]
        >>> print(to_markdown(Table("T", [Column("name"), Column("R2")], rows)), end="")
        | name | R2 |
        | --- | ---: |
        | a\\|b | 0.500 [0.400, 0.600] |
    """
    heads, rows, right = _shown(table, _markdown_text)
    lines = [heads, ["---:" if one else "---" for one in right], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(table: Table) -> str:
    """A table as LaTeX, for ``booktabs``: a float with its title and its note as the caption, and
    numbers as ``to_markdown`` has them. All letters stand for themselves.

    Example:
        >>> from latentmap.report import Column, Row
        >>> rows = [Row(["a_b", Measure(-0.5, -0.6, -0.4)])]
        >>> print(to_latex(Table("T", [Column("name"), Column("R2")], rows)), end="")
        \\begin{table}
        \\centering
        \\caption{T}
        \\begin{tabular}{lr}
        \\toprule
        name & R2 \\\\
        \\midrule
        a\\_b & $-$0.500 [$-$0.600, $-$0.400] \\\\
        \\bottomrule
        \\end{tabular}
        \\end{table}
    """
    heads, rows, right = _shown(table, latex_text)
    said = [latex_text(one) for one in (table.title, *table.note.splitlines()) if one]
    caption = ". ".join(one.rstrip(".") for one in said) + ("." if table.note else "")
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{''.join('r' if one else 'l' for one in right)}}}",
        r"\toprule",
        *([] if table.upright else [_latex_line(heads), r"\midrule"]),
        *map(_latex_line, rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "".join(f"{line}\n" for line in lines)


def latex_text(text: str) -> str:
    """A text in one line of LaTeX that stands for itself.

    Example:
        >>> latex_text("50 % of a_b")
        '50 \\\\% of a\\\\_b'
    """
    return "".join(_LATEX.get(letter, letter) for letter in printable(text))


def _parts_of(table: Table, number: int) -> list[tuple[str, Callable[[Cell], object]]]:
    """The columns of CSV that a column becomes: their heads, and what stands in them."""
    head = _inert(table.columns[number].title)
    cells = [row.cells[number] for row in table.rows]
    measures = [cell for cell in cells if isinstance(cell, Measure)]
    parts: list[tuple[str, Callable[[Cell], object]]] = [(head, _value)]
    if any(one.low is not None or one.high is not None for one in measures):
        parts += [(f"{head} low", _low), (f"{head} high", _high)]
    if any(one.note for one in measures):
        parts.append((f"{head} note", _note))
    return parts


def _value(cell: Cell) -> object:
    if isinstance(cell, str):
        return _inert(cell)
    return _number(cell.value if isinstance(cell, Measure) else cell)


def _low(cell: Cell) -> object:
    return _number(cell.low if isinstance(cell, Measure) else None)


def _high(cell: Cell) -> object:
    return _number(cell.high if isinstance(cell, Measure) else None)


def _note(cell: Cell) -> object:
    return _inert(cell.note) if isinstance(cell, Measure) else ""


def _inert(text: str) -> str:
    """A text of somebody else in one line, of which a spreadsheet computes nothing."""
    shown = printable(text)
    if not shown.startswith(_FORMULA):
        return shown
    try:
        float(shown)
    except ValueError:
        return f"'{shown}"
    return shown


def _number(value: float | None) -> object:
    return "" if value is None or defined(value) is None else value


def _shown(
    table: Table, escaped: Callable[[str], str]
) -> tuple[list[str], list[list[str]], list[bool]]:
    """Heads, rows, and which columns stand to the right. A table that is upright is turned: each
    row is a head and its cell.
    """
    right = [is_number(table, number) for number in range(len(table.columns))]
    decimals = [decimals_of(table, number) for number in range(len(table.columns))]
    heads = [escaped(column.title + _BETTER[column.better]) for column in table.columns]
    rows = [
        [escaped(_cell(cell, digits)) for cell, digits in zip(row.cells, decimals, strict=True)]
        for row in table.rows
    ]
    if not table.upright:
        return heads, rows, right
    turned = [list(pair) for pair in zip(heads, rows[0], strict=True)]
    return ["", ""], turned, [False, True]


def _cell(cell: Cell, decimals: int) -> str:
    value, said = cell_texts(cell, decimals)
    return " ".join(["\N{EN DASH}" if value is None else value, *said])


def _markdown_text(text: str) -> str:
    plain = printable(text).replace(_MINUS, "-")
    return _MARKDOWN.sub(r"\\\1", plain)


def _latex_line(cells: Sequence[str]) -> str:
    # A bracket or a star at its beginning would be an argument of the line before.
    guard = "{}" if cells[0].startswith(("[", "*")) else ""
    return f"{guard}{' & '.join(cells)} \\\\"
