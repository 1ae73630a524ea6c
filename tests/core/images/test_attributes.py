import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmap.errors import ImageError
from latentmap.images.attributes import select_where

COLUMNS = {
    "Wearing_Hat": np.array([1.0, -1.0, -1.0, -1.0]),
    "Young": np.array([1.0, 1.0, -1.0, 1.0]),
    "5_o_Clock_Shadow": np.array([-1.0, -1.0, 1.0, 1.0]),
    "age": np.array([3.5, 20.0, 71.0, 30.0]),
    "hair": np.array(["red", "grey", "5_o_Clock_Shadow", "it's"]),
}


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("Wearing_Hat == -1 and Young == 1", [1, 3]),
        ("not Wearing_Hat == 1", [1, 2, 3]),
        ("Wearing_Hat == 1 or age > 50", [0, 2]),
        ("(Young == 1 or age > 50) and Wearing_Hat != 1", [1, 2, 3]),
        ("3.5 < age <= 30", [1, 3]),
        ("-1 == Wearing_Hat", [1, 2, 3]),
        ("Wearing_Hat == Young", [0, 2]),
        ("5_o_Clock_Shadow == 1", [2, 3]),
        ("5_o_Clock_Shadow == 1 and hair == '5_o_Clock_Shadow'", [2]),
        ('hair == "it\'s"', [3]),
        ("hair >= 'grey'", [0, 1, 3]),
        ("1 == 1", [0, 1, 2, 3]),
        ("age == 1or hair == 'a\\d'", []),
        ("1 > 2", []),
        ("  age == 2e1 ", [1]),
    ],
)
def test_conditions_choose_rows(expression, chosen):
    assert np.flatnonzero(select_where(expression, COLUMNS)).tolist() == chosen


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "age.__class__ == 1",
        "age[0] == 1",
        "(lambda: age)() == 1",
        "[age for age in (1,)] == 1",
        "age + 1 == 2",
        "age ** 999999999 == 1",
        "f'{age}' == 'x'",
        "(age := 3) == 3",
        "-Young == 1",
        "+1 == 1",
        "True == 1",
        "None == 1",
        "age in (1, 2)",
        "age is 1",
        "1",
        "'red'",
        "age == 1 if Young else age",
        "await age == 1",
        "...",
    ],
)
def test_anything_but_conditions_is_refused_and_not_run(expression):
    with pytest.raises(ImageError, match=r"use .*comparisons|conditions may use comparisons"):
        select_where(expression, COLUMNS)


@pytest.mark.parametrize(
    "expression", ["", "age ==", "age = 1", "age == 1; Young == 1", "((", "\0"]
)
def test_what_cannot_be_parsed_is_refused(expression):
    with pytest.raises(ImageError, match="cannot be read as a condition: use comparisons"):
        select_where(expression, COLUMNS)


@pytest.mark.parametrize("depth", [150, 2000, 200000])
def test_deep_nesting_is_refused_or_evaluated_but_never_a_crash(depth):
    try:
        chosen = select_where("not " * depth + "age > 50", COLUMNS)
    except ImageError as error:
        assert "nested too deeply" in str(error) or "cannot be read" in str(error)
    else:
        assert np.flatnonzero(chosen).tolist() == [2]


def test_an_unknown_attribute_lists_close_names():
    with pytest.raises(
        ImageError, match="unknown attribute 'wearing_hats': did you mean Wearing_Hat"
    ):
        select_where("wearing_hats == 1", COLUMNS)
    with pytest.raises(ImageError, match="unknown attribute 'x': there are Wearing_Hat, Young"):
        select_where("Young == 1 and x == 1", COLUMNS)


def test_an_attribute_alone_is_no_condition():
    with pytest.raises(
        ImageError, match="Young alone is no condition: compare it, such as Young == 1"
    ):
        select_where("Young", COLUMNS)


@pytest.mark.parametrize("expression", ["hair == 1", "age == 'red'", "Young == hair"])
def test_numbers_and_text_are_not_compared(expression):
    with pytest.raises(ImageError, match="numbers and text are compared"):
        select_where(expression, COLUMNS)


values = st.integers(-3, 3)
comparisons = st.tuples(
    st.sampled_from(["a", "b"]), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), values
).map(lambda parts: f"{parts[0]} {parts[1]} {parts[2]}")
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        inner.map(lambda part: f"not ({part})"),
    ),
    max_leaves=8,
)


@given(conditions, st.lists(st.tuples(values, values), min_size=1, max_size=6))
def test_conditions_mean_what_they_mean_in_python(condition, rows):
    a, b = np.array(rows, dtype=np.float64).T
    expected = [bool(eval(condition, {}, {"a": x, "b": y})) for x, y in rows]
    assert select_where(condition, {"a": a, "b": b}).tolist() == expected


@given(st.text(max_size=30))
def test_any_text_is_evaluated_or_refused(text):
    try:
        assert select_where(text, COLUMNS).shape == (4,)
    except ImageError:
        pass


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400, "9" * 10_000])
def test_a_condition_with_a_number_beyond_all_is_refused(number):
    with pytest.raises(ImageError, match=r"larger than any|cannot be read as a condition"):
        select_where(f"a == {number}", {"a": np.zeros(3)})
