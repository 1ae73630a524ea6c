"""Tables as CSV, Markdown and LaTeX, read again by other means."""

import csv
import io
import re

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmap.printing import printable
from latentmap.report import Column, Measure, Row, Table
from latentmap.report.formats import latex_text, to_csv, to_latex, to_markdown
from latentmap.report.page import render
from latentmap.report.parts import Report, Section

TABLE = Table(
    "Errors of a_b & 50 %",
    [Column("name|of"), Column("R2", "share", "high"), Column("n"), Column("gain", better="low")],
    [
        Row(['a|b, "c"', Measure(1 / 3, 0.1, 0.625, "p < 0.05"), 3, -0.25]),
        Row(["[x] *y*", Measure(None), 10, None]),
        Row(["plain", 0.5, 1000, float("nan")]),
    ],
    "A note.\nAnd another: 5 %",
)
MINUS, TIMES, NONE = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
UPRIGHT = Table.of_one(
    "One",
    {Column("name"): "a", Column("R2"): Measure(0.5, 0.25, 0.75), Column("n"): 3},
)


def read_csv(table):
    return list(csv.reader(io.StringIO(to_csv(table))))


def test_csv_has_all_digits_with_intervals_and_notes_in_columns_of_their_own():
    heads, *rows = read_csv(TABLE)
    assert heads == ["name|of", "R2", "R2 low", "R2 high", "R2 note", "n", "gain"]
    assert rows[0][:1] == ['a|b, "c"']
    assert [float(one) for one in rows[0][1:4]] == [1 / 3, 0.1, 0.625]
    assert rows[0][4:] == ["p < 0.05", "3", "-0.25"]
    assert rows[1] == ["[x] *y*", "", "", "", "", "10", ""]
    assert rows[2] == ["plain", "0.5", "", "", "", "1000", ""]


def test_csv_has_no_text_that_a_spreadsheet_computes():
    texts = ["=1+1", "+a", "-b", "@SUM(A1)", "-", "+-+", '=HYPERLINK("x")', "a=b", "", "'=1"]
    numbers = ["-3", "+0.5", "-1e-9", "-inf"]
    rows = [Row([text, -0.5, Measure(-1.0, -2.0, -0.5, "=note")]) for text in texts + numbers]
    heads, *read = read_csv(Table("T", [Column("@name"), Column("n"), Column("R2")], rows))
    guarded = [f"'{text}" for text in texts[:7]]
    assert [row[0] for row in read] == [*guarded, *texts[7:], *numbers]
    assert {tuple(row[1:]) for row in read} == {("-0.5", "-1.0", "-2.0", "-0.5", "'=note")}
    assert heads[0] == "'@name"


def test_csv_of_one_row_has_its_heads_above():
    assert read_csv(UPRIGHT) == [
        ["name", "R2", "R2 low", "R2 high", "n"],
        ["a", "0.5", "0.25", "0.75", "3"],
    ]


def markdown_cells(line):
    """The cells of a line, cut at the bars that are not escaped, without escapes."""
    cells = re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]
    return [re.sub(r"\\([\\`*_<|~])", r"\1", one.strip()) for one in cells]


def test_markdown_is_a_table_whose_bars_are_escaped():
    heads, rule, *rows = to_markdown(TABLE).splitlines()
    assert markdown_cells(heads) == ["name|of", "R2 ↑", "n", "gain ↓"]
    assert rule == "| --- | ---: | ---: | ---: |"
    assert markdown_cells(rows[0]) == [
        'a|b, "c"',
        "0.333 [0.100, 0.625] p < 0.05",
        "3",
        "-0.250",
    ]
    assert markdown_cells(rows[1]) == ["[x] *y*", NONE, "10", NONE]
    assert r"\*y\*" in rows[1]
    assert to_markdown(UPRIGHT).splitlines()[2:] == [
        "| name | a |",
        "| R2 | 0.500 [0.250, 0.750] |",
        "| n | 3 |",
    ]


def latex_read(text):
    """What a text of LaTeX shows; an error where a letter would be taken for a command."""
    shown, place = "", 0
    names = {
        "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<",
        "textgreater": ">", "textbar": "|", "textquotedbl": '"', "ldots": "…",
    }  # fmt: skip
    symbols = {
        "$-$": MINUS, "$\\times$": TIMES, "$\\pm$": "±", "$\\rightarrow$": "→",
        "$\\leftarrow$": "←",
        "$\\uparrow$": "↑", "$\\downarrow$": "↓", "$\\leq$": "≤", "$\\geq$": "≥",
        "$^{\\circ}$": "°", "$^{2}$": "²",
    }  # fmt: skip
    while place < len(text):
        rest = text[place:]
        symbol = next((one for one in symbols if rest.startswith(one)), None)
        if found := re.match(r"\\([A-Za-z]+)\{\}", rest):
            shown, place = shown + names[found[1]], place + found.end()
        elif found := re.match(r"\\([&%$#_{}])", rest):
            shown, place = shown + found[1], place + 2
        elif symbol:
            shown, place = shown + symbols[symbol], place + len(symbol)
        else:
            assert rest[0] not in "\\&%$#_{}~^", rest
            shown, place = shown + rest[0], place + 1
    return shown


@given(st.text())
def test_every_text_stands_for_itself_in_latex(text):
    # Dashes are those of LaTeX.
    plain = printable(text).replace("\N{EM DASH}", "-").replace(NONE, "-")
    assert latex_read(latex_text(plain)) == plain


def test_latex_is_a_float_with_rules_and_a_caption():
    lines = to_latex(TABLE).splitlines()
    assert lines[:6] == [
        r"\begin{table}",
        r"\centering",
        r"\caption{Errors of a\_b \& 50 \%. A note. And another: 5 \%.}",
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r"name\textbar{}of & R2 $\uparrow$ & n & gain $\downarrow$ \\",
    ]
    assert lines[6] == r"\midrule"
    cells = [latex_read(one) for one in lines[7].removesuffix(r" \\").split(" & ")]
    assert cells == ['a|b, "c"', "0.333 [0.100, 0.625] p < 0.05", "3", f"{MINUS}0.250"]
    assert lines[8].startswith("{}[x] *y* & --")  # Else the bracket were an option of the line.
    assert lines[10:] == [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    assert r"R2 & 0.500 [0.250, 0.750] \\" in to_latex(UPRIGHT)
    assert r"\midrule" not in to_latex(UPRIGHT)


@pytest.mark.parametrize("table", [TABLE, UPRIGHT])
def test_the_page_has_the_texts_that_are_copied(table):
    page = render(Report("x", [Section("s", "S", blocks=[table])]))
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    texts = ["".join(one.itertext()) for one in tree.findall(".//template")]
    assert texts == [table.to_csv(), table.to_latex(), table.to_markdown()]
