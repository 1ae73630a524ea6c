import itertools

import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images.attribute_groups import ImageGroups, cut_by
from latentmap.images.attribute_values import Attribute

IDS = np.array([f"{number}.png" for number in range(12)])


def of_words(name, *words):
    return Attribute.of_classes(name, IDS[: len(words)], np.array(words))


def of_numbers(name, *numbers):
    return Attribute(name, IDS[: len(numbers)], np.array(numbers, np.float64))


@pytest.mark.parametrize(
    ("no", "yes"), [("-1", "1"), ("0", "1"), ("-1.0", "1.0"), ("no", "yes"), ("False", "True")]
)
def test_what_is_so_or_not_is_called_by_the_attribute(no, yes):
    found = cut_by([of_words("Hat", yes, no, "", no)], IDS[:5])
    assert found.by == "Hat" and found.names == ("Hat", "not Hat")
    assert found.number.tolist() == [0, 1, -1, 1, -1]
    assert found.known.tolist() == [True, True, False, True, False]


def test_classes_are_called_by_their_words():
    found = cut_by([of_words("hair", "red", "brown", "red")], IDS[:3])
    assert found.names == ("hair brown", "hair red") and found.number.tolist() == [1, 0, 1]
    assert cut_by([of_words("sex", "f", "m")], IDS[:2]).names == ("sex f", "sex m")


def test_few_numbers_are_groups_and_many_are_thirds():
    found = cut_by([of_numbers("digit", 7, 3, 0, 7, np.nan)], IDS[:5])
    assert found.names == ("digit 0", "digit 3", "digit 7")
    assert found.number.tolist() == [2, 1, 0, 2, -1]
    thirds = cut_by([of_numbers("age", *np.arange(12)[::-1])], IDS)
    assert thirds.number.tolist() == [2] * 4 + [1] * 4 + [0] * 4
    assert thirds.names[0] == "age low (to 3.67)"
    assert thirds.names[2] == "age high (from 7.33)"


def test_numbers_that_are_mostly_one_have_no_empty_third():
    ids = np.arange(110).astype(np.str_)
    found = cut_by([Attribute("age", ids, np.maximum(np.arange(110.0) - 99, 0))], ids)
    assert found.names == ("age low (to 0)", "age high (from 0)")
    assert np.bincount(found.number).tolist() == [100, 10]


def test_labels_are_what_is_shown_even_if_it_is_a_nought_or_a_one():
    assert cut_by([of_words("labels", "0", "1")], IDS[:2]).names == ("labels 0", "labels 1")


def test_a_crossing_has_a_group_for_each_pair_that_there_is():
    male = of_words("Male", "1", "1", "-1", "-1", "1", "")
    hair = of_words("hair", "red", "brown", "red", "red", "", "red")
    found = cut_by([male, hair], IDS[:6])
    assert found.by == "Male,hair"
    assert found.names == ("Male, hair brown", "Male, hair red", "not Male, hair red")
    assert found.number.tolist() == [1, 0, 2, 2, -1, -1]


def test_a_crossing_agrees_with_its_attributes_one_by_one():
    generator = np.random.default_rng(0)
    parts = [
        Attribute.of_classes(name, IDS, generator.choice(["", "u", "v", "w"], len(IDS)))
        for name in "abc"
    ]
    alone = [cut_by([one], IDS) for one in parts]
    found = cut_by(parts, IDS)
    for i in range(len(IDS)):
        known = all(one.number[i] >= 0 for one in alone)
        assert (found.number[i] >= 0) == known
        if known:
            expected = ", ".join(one.names[one.number[i]] for one in alone)
            assert found.names[found.number[i]] == expected


def test_groups_do_not_depend_on_the_order_of_the_images():
    one = of_words("hair", *itertools.islice(itertools.cycle(["red", "", "brown"]), 12))
    order = np.random.default_rng(1).permutation(12)
    assert cut_by([one], IDS[order]).number.tolist() == cut_by([one], IDS).number[order].tolist()


def test_a_part_has_only_the_groups_of_its_images():
    groups = ImageGroups("x", ("a", "b", "c"), np.array([0, 2, 1, -1, 2]))
    part = groups.take(np.array([4, 3, 0]))
    assert part.names == ("a", "c") and part.number.tolist() == [1, -1, 0]


def test_too_many_groups_are_refused():
    names = of_words("name", *(f"person {number}" for number in range(12)))
    assert len(cut_by([names], IDS).names) == 12
    many = np.array([f"{number}.png" for number in range(60)])
    one = Attribute.of_classes("name", many, many)
    with pytest.raises(ImageError, match="name makes 60 groups of the images, but 50 are the most"):
        cut_by([one], many)
    crossed = [
        Attribute.of_classes(name, many, np.array([f"{i // step % 8}a" for i in range(60)]))
        for name, step in (("tens", 8), ("ones", 1))
    ]
    with pytest.raises(ImageError, match="tens,ones makes 60 groups"):
        cut_by(crossed, many)
