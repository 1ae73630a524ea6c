import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmap.errors import ImageError
from latentmap.images.naming import (
    find_rows,
    index_ids,
    is_ignored,
    locate_rows,
    natural_key,
    natural_text,
)

names = st.lists(st.text(alphabet="ab019/._", max_size=12), unique=True)


def test_numbers_in_names_are_counted():
    ids = ["a10.jpg", "a2.jpg", "a02.jpg", "a1/3.jpg", "a1/20.jpg", "b", "10", "9"]
    in_order = ["9", "10", "a1/3.jpg", "a1/20.jpg", "a02.jpg", "a2.jpg", "a10.jpg", "b"]
    assert sorted(ids, key=natural_key) == in_order


@given(names, st.randoms(use_true_random=False))
def test_the_order_is_total_whatever_the_order_of_arrival(ids, random):
    shuffled = list(ids)
    random.shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == sorted(ids, key=natural_key)


@given(names)
def test_a_text_of_a_name_sorts_as_its_key(ids):
    assert sorted(ids, key=natural_text) == sorted(ids, key=natural_key)


@given(names)
def test_names_without_numbers_keep_the_order_of_letters(ids):
    letters = sorted({name.translate(str.maketrans("", "", "019")) for name in ids})
    assert sorted(letters, key=natural_key) == letters


def test_what_systems_leave_behind_is_ignored():
    assert is_ignored("__MACOSX/a/._1.jpg")
    assert is_ignored("a/.hidden/1.jpg")
    assert is_ignored("a/Thumbs.db")
    assert not is_ignored("a/1.jpg")


def test_ids_without_names_are_positions():
    assert index_ids(3).tolist() == ["0", "1", "2"]


def test_rows_are_found_by_full_path_and_else_by_base_name():
    ids = np.array(["x/2.jpg", "x/1.jpg", "3.jpg"])
    assert locate_rows(ids, ["1.jpg", "x/2.jpg", "y/3.jpg"], "t.csv").tolist() == [1, 0, 2]


def test_an_image_that_is_not_in_the_table_is_named():
    with pytest.raises(ImageError, match=r"2 images are not in t.csv, such as 'b.jpg', 'c.jpg'"):
        locate_rows(np.array(["a.jpg", "b.jpg", "c.jpg"]), ["a.jpg"], "t.csv")


def test_a_table_that_lists_an_image_twice_is_refused():
    with pytest.raises(ImageError, match=r"t.csv lists 'a.jpg' twice"):
        locate_rows(np.array(["a.jpg"]), ["a.jpg", "a.jpg"], "t.csv")


@pytest.mark.parametrize(
    ("ids", "listed"), [(["a/1.jpg", "b/1.jpg"], ["1.jpg"]), (["1.jpg"], ["a/1.jpg", "b/1.jpg"])]
)
def test_a_base_name_that_could_mean_several_images_is_refused(ids, listed):
    with pytest.raises(ImageError, match=r"several images are called '1.jpg'"):
        locate_rows(np.array(ids), listed, "t.csv")


def test_numbers_of_any_length_have_an_order():
    names = ["1" * 4000, "9" * 3999, "²3", "٣", "2"]
    assert sorted(names, key=natural_key)[:3] == ["2", "9" * 3999, "1" * 4000]


def test_rows_of_a_table_that_has_not_all_images_are_found():
    ids = np.array(["b/3.jpg", "2.jpg", "a/1.jpg", "x.jpg"])
    assert find_rows(ids, ["1.jpg", "b/3.jpg"], "t.csv").tolist() == [1, -1, 0, -1]
    with pytest.raises(ImageError, match="several images are called"):
        find_rows(np.array(["a/1.jpg", "b/1.jpg", "x.jpg"]), ["1.jpg"], "t.csv")
