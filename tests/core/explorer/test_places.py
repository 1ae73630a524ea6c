"""States of the page: what they say, and that none does harm."""

import pytest

from latentmap.errors import ExplorerError
from latentmap.explorer import Place, Start, read_place


def test_a_state_says_where_it_starts_and_what_was_moved():
    text = "view=move&start=image&image=a%26b.png&moves=variables_3_1.5_7_-0.5*directions_0_1e-2"
    moves = (("variables", {3: 1.5, 7: -0.5}), ("directions", {0: 0.01}))
    assert read_place(text) == Place(Start("image", image="a&b.png"), moves)
    assert read_place("start=random&seed=12") == Place(Start("random", seed=12))


@pytest.mark.parametrize("text", ["", "view=points&x=1", "start=mean", "moves="])
def test_without_a_start_it_is_the_mean(text):
    assert read_place(text) == Place()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("start=nowhere", "from one of mean, image, random"),
        ("start=random&seed=-1", "a seed is"),
        ("start=random&seed=" + "9" * 99, "a seed is"),
        ("start=random&seed=\u0664", "a seed is"),
        ("moves=variables", "a number and a value each"),
        ("moves=variables_1", "a number and a value each"),
        ("moves=variables_x_1", "a number and a value each"),
        ("moves=variables_1_nan", "a number and a value each"),
        ("moves=variables_1_1e999", "a number and a value each"),
        ("moves=variables_1_1*", "a number and a value each"),
        ("moves=variables_1_1001", "up to 1000 standard deviations"),
        ("&".join(f"k{i}=1" for i in range(101)), "100 fields at most"),
        ("x" * 70000, "65,536 letters at most"),
    ],
)
def test_what_is_no_state_is_refused(text, said):
    with pytest.raises(ExplorerError, match=said):
        read_place(text)
