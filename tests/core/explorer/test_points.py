"""Points lie, are coloured and have neighbours as the library has it; many come in parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.codes import pair
from latentmap.errors import ExplorerError
from latentmap.explorer import points as points_module
from latentmap.explorer import read_place
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.answers import Answer
from latentmap.explorer.letters import letter_of
from latentmap.explorer.named_codes import CodesById
from latentmap.explorer.points import Points, evenly
from latentmap.images.attribute_table import Attributes
from latentmap.images.tables import Table
from latentmap.mapping.map_checks import UNKEPT
from latentmap.relocation.measuring import measure
from latentmap.report.colours import BLUE, ORANGE
from latentmap.support.sectors import Sectors, sector_numbers
from tests.core.explorer.letters import read_arrays


def all_of(explored, action, asked):
    """The numbers of all points, and what was told first, asked part by part."""
    parts, told, start = [], None, 0
    while start < len(explored.points):
        answer = ACTIONS[action](explored, {**asked, "start": start})
        told = told or answer.told
        (numbers,) = answer.arrays
        assert answer.told["stop"] == start + len(numbers) > start
        parts.append(numbers)
        start = answer.told["stop"]
    return np.concatenate(parts), told


def with_codes_for(explored, kept):
    """The same, with own codes of the target for some images alone."""
    (target,) = explored.targets
    own = CodesById(target.own.codes.take(kept))
    return replace(explored, targets=(replace(target, own=own),))


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 33 codes of 4 numbers."""
    monkeypatch.setattr(points_module, "_NUMBERS", 132)


@pytest.mark.parametrize("by", ["variables", "factors-0", "directions"])
def test_points_lie_where_controls_read_their_codes(explored, by, small_parts):
    xy, _ = all_of(explored, "plane", {"by": by, "x": 2, "y": 1})
    assert xy.shape == (400, 2)
    moving = explored.controls[by].moving
    for row in (0, 32, 33, 399):
        code = explored.codes.codes.read(row, row + 1)[0].double()
        np.testing.assert_allclose(xy[row], moving.read(code)[[2, 1]], rtol=1e-5, atol=1e-6)


def test_the_principal_plane_is_that_of_scikit_learn(explored):
    from sklearn.decomposition import PCA

    xy, _ = all_of(explored, "plane", {"by": "directions", "x": 0, "y": 1})
    found = PCA(2, whiten=True).fit_transform(explored.codes.codes.to_numpy())
    found *= np.sqrt(400 / 399)  # It divides by n - 1.
    for mine, other in zip(xy.T, found.T, strict=True):
        assert min(np.abs(mine - other).max(), np.abs(mine + other).max()) < 1e-3


def test_a_moved_code_goes_to_where_it_was_moved_in_its_plane(explored):
    place = read_place("moves=directions_0_1.5_1_-0.5")
    code = explored.code_at(place)
    read = explored.controls["directions"].moving.read_some(code[None], [1, 0])
    np.testing.assert_allclose(read, [[-0.5, 1.5]], atol=1e-9)


def test_of_very_many_points_an_even_choice_is_taken(explored):
    few = Points(explored.codes, [explored.targets[0].own], most=30)
    assert (len(few), few.total) == (30, 400)
    assert {*np.diff(few.rows).tolist()} == {13, 14}
    np.testing.assert_array_equal(few.ids, explored.codes.codes.ids[few.rows])
    np.testing.assert_array_equal(few.rows_in(1), few.rows)
    assert few.number_of(str(few.ids[7])) == 7
    assert few.number_of(str(explored.codes.codes.ids[few.rows[7] + 1])) is None
    assert few.number_of("none") is None
    assert len(evenly(7, 7)) == 7 and evenly(8, 7).tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_the_image_of_a_point_is_that_of_its_code(explored, images):
    answer = ACTIONS["point"](explored, {"number": 17})
    assert answer.told == {"id": explored.codes.codes.ids[17]}
    np.testing.assert_array_equal(answer.pictures[0], images.read(17))


def test_sectors_are_those_of_the_leading_variables(explored):
    values, told = all_of(explored, "colour", {"by": "sector"})
    leading = [one.number for one in explored.controls["variables"].controls if not one.dead][:3]
    codes = explored.codes.codes
    sectors = Sectors.of(codes, leading, threshold=0)
    np.testing.assert_array_equal(values, sector_numbers(sectors.coordinates(codes)))
    assert len(told["groups"]) == 2 ** len(leading)
    assert told["groups"][1]["name"] == "+" + "-" * (len(leading) - 1)
    assert [one["colour"] for one in told["groups"][:2]] == [BLUE, ORANGE]
    title = next(iter(ACTIONS["colours"](explored, {}).told["colours"]))["title"]
    assert title == f"sector (variables {', '.join(map(str, leading))})"


def test_errors_are_those_that_evaluate_has_image_by_image(explored, small_parts):
    source, (target,) = explored.source, explored.targets
    (measured,) = measure(
        [target.linear_map],
        pair(explored.codes.codes, target.own.codes),
        source,
        target.model,
        explored.images,
    )
    assert measured.errors.ids.tolist() == explored.points.ids.tolist()
    for by, expected in (
        ("code-error 0", measured.errors.code),
        ("image-error 0", measured.errors.relocation),
    ):
        values, told = all_of(explored, "colour", {"by": by})
        assert told["groups"] is None and told["stop"] < 400
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_of_images_that_the_target_has_no_code_of_no_error_is_known(explored):
    kept = np.r_[0:65, 70, 399]  # Of the images from 128 on one alone, which is not measured.
    partly = with_codes_for(explored, kept)
    code, _ = all_of(partly, "colour", {"by": "code-error 0"})
    image, _ = all_of(partly, "colour", {"by": "image-error 0"})
    assert np.flatnonzero(np.isfinite(code)).tolist() == kept.tolist()
    assert np.flatnonzero(np.isfinite(image)).tolist() == kept[:-1].tolist()
    without = replace(explored, targets=(replace(explored.targets[0], own=None),))
    offered = [one["name"] for one in ACTIONS["colours"](without, {}).told["colours"]]
    assert offered == ["sector"]


def test_errors_say_of_how_many_of_the_images_the_map_was_fitted(explored, images):
    train = set(images.split("train").ids.tolist())
    expected = [name in train for name in explored.points.ids.tolist()]
    assert 200 < len(train) < 400
    values, told = all_of(explored, "colour", {"by": "fitted 0"})
    assert values.tolist() == expected
    assert [one["name"] for one in told["groups"]] == ["not fitted on", "fitted on"]
    note = f"The map was fitted on {len(train)} of these images: it loses less of those."
    for by, said in (("code-error 0", note), ("image-error 0", note), ("sector", "")):
        assert ACTIONS["colour"](explored, {"by": by, "start": 0}).told["note"] == said
    few = replace(explored, codes=CodesById(explored.codes.codes.take(np.flatnonzero(expected))))
    assert few.fitted.note(0, few.points.rows).startswith("The map was fitted on all of these")
    rows = np.flatnonzero(~np.array(expected))
    assert explored.fitted.note(0, rows) == ""


def test_a_copy_of_an_image_of_the_fit_counts_as_one(explored):
    codes = explored.codes.codes
    fitted = np.flatnonzero(explored.fitted.of_map(0))[:2]
    others = np.flatnonzero(~explored.fitted.of_map(0))[:2]
    renamed = replace(codes.take(np.r_[others, fitted]), ids=np.array(["a", "b", "c", "d"]))
    copies = replace(explored, codes=CodesById(renamed)).fitted
    assert copies.of_map(0).tolist() == [False, False, True, True]
    assert [copies.has(0, name) for name in ("a", "d", "e")] == [False, True, None]


def test_nobody_knows_on_which_of_too_many_images_a_map_was_fitted(explored):
    (target,) = explored.targets
    record = {**target.linear_map.record, UNKEPT: True}
    unkept = replace(target, linear_map=replace(target.linear_map, record=record))
    unknown = replace(explored, targets=(unkept,))
    assert unknown.fitted.has(0, str(unknown.points.ids[0])) is None
    said = ACTIONS["colour"](unknown, {"by": "code-error 0", "start": 0}).told["note"]
    assert said.startswith("Which of these the map was fitted on is not known")
    offered = [one["name"] for one in ACTIONS["colours"](unknown, {}).told["colours"]]
    assert offered == ["sector", "code-error 0", "image-error 0"]


def table_of(explored, **columns):
    """A table of all images but the first."""
    names = explored.images.ids.tolist()
    return Attributes(
        Table("some.csv", names[1:], {name: column[1:] for name, column in columns.items()})
    )


def test_attributes_are_groups_or_numbers(explored):
    n = len(explored.images)
    hat = np.where(np.arange(n) % 3 == 0, 1.0, -1.0)
    hair = np.array(["red", "", "brown"])[np.arange(n) % 3]
    age = np.arange(n) / 7
    known = replace(explored, attributes=table_of(explored, hat=hat, hair=hair, age=age))
    offered = [one["name"] for one in ACTIONS["colours"](known, {}).told["colours"]]
    assert offered[1:4] == ["attribute hat", "attribute hair", "attribute age"]
    values, told = all_of(known, "colour", {"by": "attribute hat"})
    assert [one["name"] for one in told["groups"]] == ["-1", "1"]
    np.testing.assert_array_equal(values, [np.nan, *(hat[1:] > 0)])
    values, told = all_of(known, "colour", {"by": "attribute hair"})
    assert [one["name"] for one in told["groups"]] == ["brown", "red"]
    expected = np.array([1.0, np.nan, 0.0])[np.arange(n) % 3]
    np.testing.assert_array_equal(values, [np.nan, *expected[1:]])
    values, told = all_of(known, "colour", {"by": "attribute age"})
    assert told["groups"] is None
    np.testing.assert_allclose(values, [np.nan, *age[1:]])


def test_names_of_others_are_one_line_and_not_too_long(explored):
    words = np.array(["\x1b[2J" + "x" * 500, "<b>"])[np.arange(len(explored.images)) % 2]
    known = replace(explored, attributes=table_of(explored, word=words))
    _, told = all_of(known, "colour", {"by": "attribute word"})
    names = [one["name"] for one in told["groups"]]
    assert names[1] == "<b>" and names[0].startswith(r"\x1b[2J") and len(names[0]) <= 60


def test_labels_are_groups_in_their_natural_order(explored):
    labels = np.array(["10", "9", ""])[np.arange(len(explored.images)) % 3]
    labelled = replace(explored, images=WithLabels(explored.images, labels))
    values, told = all_of(labelled, "colour", {"by": "label"})
    named = {one["name"]: number for number, one in enumerate(told["groups"])}
    assert named["9"] < named["10"]
    expected = [{"10": named["10"], "9": named["9"], "": np.nan}[one] for one in labels]
    np.testing.assert_array_equal(values, expected)


class WithLabels:
    """Images with labels."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __getattr__(self, name):
        return getattr(self.images, name)

    def __len__(self):
        return len(self.images)


def nearest_by_numpy(codes, row, count):
    distances = np.linalg.norm(codes.astype(np.float64) - codes[row].astype(np.float64), axis=1)
    order = np.argsort(distances, kind="stable")
    order = order[order != row][:count]
    return order.tolist(), distances[order]


def test_neighbours_are_the_nearest_codes_of_each_space(explored, images):
    name = str(explored.codes.codes.ids[5])
    answer = ACTIONS["near"](explored, {"id": name, "count": 6})
    assert letter_of(answer)  # It can be sent.
    told = answer.told
    assert (told["id"], told["point"]) == (name, 5)
    assert [one["among"] for one in told["spaces"]] == [399, 399]
    spaces = (explored.codes, explored.targets[0].own)
    for space, codes in zip(told["spaces"], spaces, strict=True):
        rows, distances = nearest_by_numpy(codes.codes.to_numpy(), 5, 6)
        assert space["points"] == rows
        assert space["ids"] == codes.codes.ids[rows].tolist()
        np.testing.assert_allclose(space["distances"], distances, rtol=1e-5)
    assert [one["model"] for one in told["spaces"]] == ["source", "target"]
    assert {*told["shown"]} == {name, *(one for space in told["spaces"] for one in space["ids"])}
    place = images.ids.tolist().index(told["shown"][1])
    np.testing.assert_array_equal(answer.pictures[1], images.read(place))


def test_a_rotation_of_the_space_leaves_neighbours_as_they_are(explored):
    """The codes of the target are the source's, rotated; up to the 8 bits of the images."""
    same = 0
    for row in range(0, 400, 40):
        asked = {"id": str(explored.points.ids[row]), "count": 5}
        one, other = (space["ids"] for space in ACTIONS["near"](explored, asked).told["spaces"])
        same += len({*one} & {*other})
    assert same >= 45


def test_a_space_without_codes_of_the_image_has_no_neighbours(explored):
    partly = with_codes_for(explored, np.arange(10))
    for row, known in ((3, True), (12, False)):
        asked = {"id": str(explored.points.ids[row]), "count": 24}
        source, target = ACTIONS["near"](partly, asked).told["spaces"]
        assert (source["among"], target["among"]) == (399, 9 if known else 10)
        assert len(source["ids"]) == 24 and source["known"]
        assert target["known"] is known
        assert target["points"] == ([*target["points"]] if known else [])
        assert len(target["ids"]) == (9 if known else 0)
        assert {*target["ids"]} <= {*explored.points.ids[:10].tolist()}


def test_the_nearest_are_found_in_all_blocks(explored, monkeypatch):
    from latentmap.codes import Codes
    from latentmap.explorer.neighbours import nearest

    codes = explored.codes.codes
    whole = nearest(codes, codes.read(9, 10)[0], 7)
    monkeypatch.setattr(Codes, "block_size", 3)
    parts = nearest(codes, codes.read(9, 10)[0], 7)
    assert whole[0].tolist() == parts[0].tolist() and whole[0][0] == 9
    torch.testing.assert_close(torch.from_numpy(whole[1]), torch.from_numpy(parts[1]))


@pytest.mark.parametrize(
    ("action", "asked", "said"),
    [
        ("plane", {"by": "none", "x": 0, "y": 1, "start": 0}, "there are no 'none'"),
        ("plane", {"by": "variables", "x": 0, "y": 4, "start": 0}, "variables are 0 to 3"),
        ("plane", {"by": "variables", "x": -1, "y": 0, "start": 0}, "x must be a whole number"),
        ("plane", {"by": "variables", "x": 0, "y": 1, "start": 400}, "start must be a whole"),
        ("plane", {"by": "variables", "x": 0, "y": 1}, "start must be a whole number"),
        ("colour", {"by": "code-error 1", "start": 0}, "not coloured by 'code-error 1'"),
        ("colour", {"by": "attribute hat", "start": 0}, "not coloured by 'attribute hat'"),
        ("colour", {"by": "label", "start": 0}, "not coloured by 'label'"),
        ("colour", {"by": "", "start": 0}, "not coloured by ''"),
        ("point", {"number": 400}, "number must be a whole number from 0 to 399"),
        ("near", {"id": "none", "count": 3}, "none of the 400 images is called 'none'"),
        ("near", {"id": "first", "count": 25}, "count must be a whole number from 1 to 24"),
    ],
)
def test_what_cannot_be_shown_is_refused(explored, action, asked, said):
    if asked.get("id") == "first":
        asked = {**asked, "id": explored.points.ids[0]}
    with pytest.raises(ExplorerError, match=said):
        ACTIONS[action](explored, asked)


def test_words_of_too_many_kinds_are_no_colours(explored):
    many = replace(explored, attributes=table_of(explored, name=explored.images.ids))
    assert all_of(many, "colour", {"by": "attribute name"})[0].shape == (400,)
    names = np.array([f"a{i}" for i in range(1100)])
    from latentmap.explorer.colouring import _require_few

    with pytest.raises(ExplorerError, match="name has 1,100 values, and colours tell a few apart"):
        _require_few("name", names.tolist())


def test_arrays_come_as_float32_behind_the_pictures():
    picture = np.zeros((4, 3, 3), np.uint8)
    numbers = np.array([[0.1, np.nan], [1e-40, -3.0]])
    letter = letter_of(Answer({"n": 2}, [picture], arrays=[numbers, np.arange(3)]))
    first, second = read_arrays(letter)
    np.testing.assert_array_equal(first, numbers.astype(np.float32).flatten())
    assert second.tolist() == [0, 1, 2]
