"""Choosing images by lists and by tables that do not have all of them."""

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import Choice, open_images
from latentmap.images.choice import Unlisted


@pytest.fixture
def tables(tmp_path):
    """Of the first 20 of the digits: attributes of the even ones, groups of the first ten."""
    table = tmp_path / "known.csv"
    table.write_text("file,n\n" + "".join(f"{i},{i}\n" for i in range(0, 20, 2)))
    groups = tmp_path / "groups.csv"
    groups.write_text("file,g\n" + "".join(f"{i},g{i % 3}\n" for i in range(10)))
    return table, groups


def chosen(**options):
    told = []
    images = open_images("digits", notify=told.append, **options)
    return images, told


def test_images_that_are_not_in_the_table_stop_and_the_message_says_how_to_go_on(tables):
    table, groups = tables
    message = r"1,787 of the 1,797 images of digits are not in .*known.csv, such as '1', '3', '5'"
    with pytest.raises(ImageError, match=message + r": add them, or .* with --missing skip"):
        chosen(attributes=table, where="n > 4")
    with pytest.raises(ImageError, match=r"1,787 of the 1,797 .*groups.csv.* --missing skip"):
        chosen(group_by=groups)


def test_images_that_are_not_in_the_table_are_left_out_and_that_is_told(tables):
    table, _ = tables
    images, told = chosen(attributes=table, where="n > 4", missing="skip", limit=3)
    assert images.ids.tolist() == ["6", "8", "10"]
    assert told == ["left out 1,787 of 1,797 images, which are not in known.csv"]
    assert images.choice == Choice(
        "digits", where="n > 4", limit=3, unlisted=(Unlisted("known.csv", 1787, 1797),)
    )
    assert images.choice.to_json()["unlisted"] == [{"table": "known.csv", "n": 1787, "of": 1797}]


def test_both_tables_count_what_the_one_before_left(tables):
    table, groups = tables
    images, told = chosen(attributes=table, where="n > 1", group_by=groups, missing="skip")
    assert images.ids.tolist() == ["2", "4", "6", "8"]
    assert images.groups.tolist() == ["g2", "g1", "g0", "g2"]
    assert told[1] == "left out 5 of 9 images, which are not in groups.csv"
    assert [one.of for one in images.choice.unlisted] == [1797, 9]


def test_a_table_of_other_images_is_refused_however_missing_ones_are_taken(tmp_path):
    (tmp_path / "t.csv").write_text("file,n\na.png,1\n")
    for missing in ("stop", "skip"):
        with pytest.raises(ImageError, match=r"none of the 1797 images of digits \(0 is the first"):
            chosen(attributes=tmp_path / "t.csv", where="n == 1", missing=missing)


def test_an_expression_is_checked_before_images_are_looked_for(tables):
    table, _ = tables
    for where in ("m == 1", "n = 1", "n == 'a'"):
        with pytest.raises(ImageError) as raised:
            open_images("nowhere", attributes=table, where=where)
        assert "nowhere" not in str(raised.value)


def test_lists_choose_in_the_order_of_the_images(tmp_path):
    (tmp_path / "some.txt").write_text("9\n3\n5\n1700\n")
    (tmp_path / "bad.txt").write_text("3\nnobody\n")
    images, told = chosen(ids=tmp_path / "some.txt")
    assert (images.ids.tolist(), told) == (["3", "5", "9", "1700"], [])
    images, told = chosen(ids=tmp_path / "some.txt", exclude=tmp_path / "bad.txt", limit=2)
    assert images.ids.tolist() == ["5", "9"]
    assert told == ["1 of the 2 names in bad.txt are of none of the 4 images (nobody is one)"]
    words = "digits, only those in some.txt, without those in bad.txt, the first 2"
    assert str(images.choice) == words


def test_a_listed_name_of_no_image_stops_or_is_passed_over(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("3\nnobody\n")
    with pytest.raises(ImageError, match=r"\(nobody is one\): correct them, or .*--missing skip"):
        chosen(ids=path)
    images, told = chosen(ids=path, missing="skip")
    assert images.ids.tolist() == ["3"]
    assert told == ["1 of the 2 names in some.txt are of none of the 1797 images (nobody is one)"]
    path.write_text("nobody\n")
    with pytest.raises(ImageError, match=r"some.txt names none of the 1797 images of digits"):
        chosen(ids=path, missing="skip")


def test_lists_come_before_the_condition_the_split_and_the_limit(tables, tmp_path):
    table, _ = tables
    (tmp_path / "some.txt").write_text("".join(f"{i}\n" for i in range(0, 20, 2)))
    images, told = chosen(ids=tmp_path / "some.txt", attributes=table, where="n >= 8", limit=2)
    assert (images.ids.tolist(), told) == (["8", "10"], [])


def test_parts_know_how_they_were_chosen():
    images = open_images("digits")
    assert str(images.choice) == "digits"
    test = images.split("test")
    assert str(test.first(7).choice) == "digits, test, the first 7"
    assert test.first(5000) is test
    both = images.first_of(("train", "test"), 10)
    assert str(both.choice) == "digits, the first 10 of each split"
    assert str(both.split("test").choice) == "digits, test, the first 10"
    assert str(images.first_of(("train", "test"), 5000).choice) == "digits"
    assert both.subset([0]).choice == both.choice
    grouped = images.grouped(np.array(["a"] * len(images)))
    assert (grouped.choice, images.groups) == (images.choice, None)


def test_places_are_called_by_their_last_part(tmp_path, monkeypatch):
    (tmp_path / "faces").mkdir()
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 4, 4), np.uint8) + 9)
    assert str(open_images(tmp_path / "a.npz", value_range=(0, 255)).choice) == "a.npz"
    named = open_images(f"{tmp_path / 'a.npz'}:/images", value_range=(0, 255))
    assert str(named.choice) == "a.npz:/images"
    Image.new("L", (4, 4), 99).save(tmp_path / "faces" / "1.png")
    monkeypatch.chdir(tmp_path / "faces")
    assert str(open_images(".").choice) == "faces"


def test_a_long_expression_is_shortened_in_words_alone():
    where = " or\n".join(f"n == {i}" for i in range(40))
    choice = Choice("a", where=where)
    assert len(str(choice)) == len("a, ") + 100
    assert str(choice).endswith("...")
    assert "\n" not in str(choice)
    assert choice.to_json()["where"] == where
