import pytest

from latentmap.intervals import Estimate
from latentmap.report import Column, Measure, Row, Table, as_text

TABLE = Table(
    "Methods",
    [Column("method"), Column("R2", "of the codes", "high", 3), Column("rank"), Column("why")],
    [
        Row(["ridge", Measure(0.5, 0.25, 0.75), 16, ""]),
        Row(["pls", Measure(-0.1, -0.2, -0.05, "n.s."), 4, "by folds"], "shown"),
        Row(["cca", Measure(None), None, ""]),
    ],
    "On 20 images.\nBy chance.",
)


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    assert as_text([TABLE]).splitlines() == [
        "method  R2                            rank  why",
        "ridge    0.500 [0.250, 0.750]           16",
        "pls     -0.100 [-0.200, -0.050] n.s.     4  by folds",
        "cca          -                           -",
        "On 20 images.",
        "By chance.",
    ]


def test_several_tables_have_their_titles():
    text = as_text([TABLE, Table("Nothing", [Column("a"), Column("b")], [])])
    assert text.startswith("Methods\nmethod  R2")
    assert text.endswith("By chance.\n\nNothing\na  b")


def test_an_upright_table_has_a_line_a_column_with_what_it_means():
    cells = {
        Column("R2", "of the codes", decimals=4): Measure.of(Estimate(0.5, 0.25, 0.75)),
        Column("pairs"): 1797,
        Column("floor", "of M_mse"): 8.28e-7,
        Column("left out"): None,
    }
    assert as_text([Table.of_one("Scores", cells, "A note.")]).splitlines() == [
        "R2     0.5000 [0.2500, 0.7500]  of the codes",
        "pairs  1797",
        "floor  8.28e-07                 of M_mse",
        "A note.",
    ]


def test_text_of_a_file_is_no_command_for_the_terminal():
    hostile = "a\x1b[2Jb\nc\u202e"
    table = Table(hostile, [Column(hostile)], [Row([hostile])], "x\x07")
    text = as_text([table, table])
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert text.splitlines()[2] == r"a\x1b[2Jb\nc\u202e"


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ([0.00001234, 0.0], ["1.23e-05", "0"]),
        ([3.5e9, 1.0], ["3.50e+09", "1"]),
        ([0.01, 3], ["0.01", "3.00"]),
    ],
)
def test_numbers_far_from_one_are_in_powers_of_ten(numbers, shown):
    lines = as_text([Table("", [Column("n")], [Row([number]) for number in numbers])])
    assert [line.strip() for line in lines.splitlines()[1:]] == shown


def test_columns_and_intervals_can_be_left_out():
    assert [column.title for column in TABLE.without("why", "R2").columns] == ["method", "rank"]
    assert [row.cells[0] for row in TABLE.without("why").rows] == ["ridge", "pls", "cca"]
    assert [row.cells[1] for row in TABLE.bare("R2").rows] == [0.5, -0.1, None]
    assert TABLE.bare("R2").rows[1].link == "shown"


def wide(*first):
    columns = [*map(Column, first), *(Column(f"figure {i}", decimals=3) for i in range(5))]
    figures = [Measure(i / 8, i / 8 - 0.1, i / 8 + 0.1) for i in range(5)]
    return Table("T", columns, [Row([*("ab" * 6 for _ in first), *figures])], "A note.")


def test_a_table_that_is_wider_than_a_terminal_stands_in_parts_with_its_names():
    text = as_text([wide("from", "to")])
    assert max(map(len, text.splitlines())) <= 120
    first, second = (part.splitlines() for part in text.split("\n\n"))
    assert first[0].split() == "from to figure 0 figure 1 figure 2 figure 3".split()
    assert second[0].split() == "from to figure 4".split()
    assert first[1].startswith("abababababab  abababababab  0.000 [-0.100, 0.100]")
    assert second[1:] == ["abababababab  abababababab  0.500 [0.400, 0.600]", "A note."]


def test_a_table_whose_names_fill_half_of_a_line_is_left_whole():
    table = wide("one", "two", "three", "four", "five")
    assert len(as_text([table]).splitlines()) == 3
    words = Table("T", [Column("path"), Column("why")], [Row(["a" * 100, "b" * 100])])
    assert len(as_text([words]).splitlines()) == 2


def test_numbers_that_say_what_a_row_is_of_stand_in_every_part():
    table = wide()
    table = Table("T", [Column("pairs"), *table.columns], [Row([8, *table.rows[0].cells])])
    assert [part.split()[0] for part in as_text([table]).split("\n\n")] == ["pairs"]
    columns = [*table.columns, Column("more")]
    table = Table("T", columns, [Row([*table.rows[0].cells, "c" * 30])])
    assert [part.split()[0] for part in as_text([table]).split("\n\n")] == ["pairs", "pairs"]
