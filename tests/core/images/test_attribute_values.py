import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images.attribute_values import Attribute, attributes_in, labels_in
from latentmap.images.tables import read_table

IDS = np.array(["a.png", "b.png", "sub/c.png", "d.png"])


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "some.csv"
    rows = ["c.png,1,red,3.5,5", "b.png,-1,,nan,5", "a.png,-1,brown,2,5", "x.png,1,blue,,5"]
    rows.append("d.png,1,red,4,5")
    path.write_text("\n".join(["file,Male,Hair,Age,All", *rows]))
    return read_table(path)


def test_columns_are_classes_or_numbers_by_what_they_hold(table):
    male, hair, age, every = attributes_in(table, IDS, [*table.columns])
    assert [one.name for one in (male, hair, age, every)] == ["Male", "Hair", "Age", "All"]
    assert male.classes == ("-1", "1") and male.values.tolist() == [0, 0, 1, 1]
    assert hair.classes == ("brown", "red")
    np.testing.assert_array_equal(hair.values, [0, np.nan, 1, 1])
    assert age.classes == ()
    np.testing.assert_array_equal(age.values, [2, np.nan, 3.5, 4])
    assert every.classes == ("5",) and every.values.tolist() == [0] * 4


def test_two_numbers_are_two_classes_with_or_without_gaps(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("file,Hat\na.png,10\nb.png,\nd.png,9.5\n")
    (hat,) = attributes_in(read_table(path), IDS, ["Hat"])
    assert hat.classes == ("9.5", "10.0")
    np.testing.assert_array_equal(hat.of(IDS), [1, np.nan, np.nan, 0])


def test_columns_are_had_by_name_in_the_order_that_is_asked_for(table):
    found = attributes_in(table, IDS, ["Age", "Male"])
    assert [one.name for one in found] == ["Age", "Male"]
    with pytest.raises(ImageError, match=r"no column 'male': did you mean 'Male'\?"):
        attributes_in(table, IDS, ["male"])
    with pytest.raises(ImageError, match=r"no column 'Weather': it has Male, Hair, Age, All$"):
        attributes_in(table, IDS, ["Weather"])


def test_images_that_are_in_no_row_are_not_known(table):
    ids = np.array(["q.png", "b.png", "a.png"])
    (male,) = attributes_in(table, ids, ["Male"])
    np.testing.assert_array_equal(male.of(ids), [np.nan, 0, 0])
    with pytest.raises(
        ImageError, match=r"none of the 1 images \(q.png is the first\) is in .*some"
    ):
        attributes_in(table, ids[:1], ["Male"])
    labels = labels_in(table, "Hair", ids)
    assert labels.name == "labels" and labels.classes == ("brown",)
    np.testing.assert_array_equal(labels.of(ids), [np.nan, np.nan, 0])


def test_labels_of_numbers_are_classes(tmp_path):
    path = tmp_path / "digits.csv"
    path.write_text("file,digit\na.png,3\nb.png,10\nd.png,7\n")
    assert labels_in(read_table(path), "digit", IDS).classes == ("10", "3", "7")
    (numbers,) = attributes_in(read_table(path), IDS, ["digit"])
    assert numbers.classes == ()


def test_values_are_found_by_id_in_any_order():
    one = Attribute.of_classes("x", IDS, np.array(["u", "v", "", "u"]))
    order = np.array([3, 0, 2, 1])
    np.testing.assert_array_equal(one.of(IDS[order]), one.values[order])
