"""Lines between two codes: what the page shows of them, and what is written."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args
from urllib.parse import urlencode

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import ExplorerError
from latentmap.explorer import explore_spaces, lines, read_place
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.drawing import figure_of_state
from latentmap.explorer.letters import letter_of
from latentmap.explorer.lines import Line, codes_along, read_line, show_line
from latentmap.explorer.uploads import Upload
from latentmap.mapping import typicality
from latentmap.model.testing import LinearModel
from latentmap.report.animations import Loop
from latentmap.report.store import read_report
from tests.core.explorer.letters import read_letter


def state_of(a, b, **others):
    return urlencode({"view": "line", "a": a, "b": b, **others})


def test_codes_are_at_equal_distances_on_the_line_between_two_places(explored):
    a, b = "start=random&seed=1", "start=random&seed=2&moves=variables_2_0.5"
    line, _ = read_line(state_of(a, b, steps=5))
    codes = codes_along(explored, line)
    ends = [explored.code_at(read_place(one)) for one in (a, b)]
    expected = [ends[0] + share * (ends[1] - ends[0]) for share in (0, 0.25, 0.5, 0.75, 1)]
    torch.testing.assert_close(codes, torch.stack(expected))


def test_every_row_is_what_the_models_make_of_the_codes(explored, models):
    source, target, _ = models
    line = Line("moves=variables_1_1", "start=mean", 4)
    codes = codes_along(explored, line).float()
    first, second = show_line(explored, line)
    assert (first.role, first.model, second.role) == ("source", "source", "mapped")
    torch.testing.assert_close(first.images, source.decode(codes))
    linear_map = explored.targets[0].linear_map
    torch.testing.assert_close(second.images, target.decode(linear_map.apply(codes)))
    outside = typicality(linear_map, codes).outside
    assert second.outside == outside.astype(bool).tolist() and first.outside == [None] * 4
    assert {True, False} <= {*second.outside}  # Images vary by 0.06 there.


def test_the_page_gets_all_pictures_row_by_row_and_the_images_of_the_ends(explored, images):
    answer = ACTIONS["line"](explored, {"state": "steps=3"})
    rows = show_line(explored, Line(steps=3))
    assert answer.told["ends"] == tuple(
        urlencode({"start": "image", "image": images.ids[i]}) for i in (0, 1)
    )
    assert answer.told["rows"] == [row.to_json() for row in rows]
    assert answer.told["originals"] == [True, True]
    expected = [*rows[0].pictures, *rows[1].pictures, images.read(0), images.read(1)]
    for picture, other in zip(answer.pictures, expected, strict=True):
        np.testing.assert_array_equal(picture, other)
    own = Upload("abc", [images.read(5)], [rows[0].images[0].flatten()[:4].double()])
    explored.uploads.keep(own)
    moved = "start=image&image=x&moves=variables_1_1".replace("=x", f"={images.ids[0]}")
    sent = ACTIONS["line"](explored, {"state": state_of("start=upload&upload=abc", moved)})
    assert sent.told["originals"] == [True, False]
    np.testing.assert_array_equal(sent.pictures[-1], images.read(5))


def test_large_images_are_smaller_on_the_page_and_whole_in_a_figure(images, tmp_path):
    large = LinearModel(4, (1, 400, 800), seed=1, name="large")
    explored = explore_spaces(large, [], images.subset(range(8)), tmp_path)
    answer = ACTIONS["line"](explored, {"state": "steps=2"})
    assert [one.shape for one in answer.pictures[:2]] == [(128, 256, 1)] * 2
    drawn = figure_of_state(explored, "view=line&steps=2")
    assert drawn.figure.rows[0].images.shape == (2, 1, 400, 800)
    (row,) = show_line(explored, Line(steps=2))
    means = [float(image.mean()) for image in row.images]
    assert [one.mean() / 255 for one in answer.pictures[:2]] == pytest.approx(means, abs=0.01)


@pytest.mark.parametrize(("kind", "frames"), [("png", 1), ("gif", 4), ("webp", 4)])
def test_a_line_is_written_as_a_file(explored, kind, frames):
    state = state_of("start=random&seed=1", "start=mean", steps=3, speed=4)
    letter = letter_of(ACTIONS["line-file"](explored, {"state": state, "kind": kind}))
    head = json.loads(letter[4 : 4 + int.from_bytes(letter[:4], "little")])
    (file,) = head["files"]
    assert file["type"] == f"image/{kind}"
    picture = Image.open(io.BytesIO(letter[-file["length"] :]))
    assert picture.format == kind.upper() and getattr(picture, "n_frames", 1) == frames
    if kind == "png":
        expected = figure_of_state(explored, state).figure.picture()
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))


def test_a_letter_has_pictures_before_files(explored):
    pixels = np.zeros((2, 2, 1), np.uint8)
    answer = ACTIONS["line-file"](explored, {"state": "steps=2", "kind": "png"})
    letter = letter_of(replace(answer, pictures=[pixels]))
    head = json.loads(letter[4 : 4 + int.from_bytes(letter[:4], "little")])
    assert [file["type"] for file in head["files"]] == ["image/png"] * 2
    assert "height" in head["files"][0] and "height" not in head["files"][1]


def test_a_line_is_a_section_of_the_report_once(explored, tmp_path):
    explored = replace(explored, report=tmp_path / "report", command="latentmap explore a b")
    state = state_of("start=random&seed=1", "start=mean", steps=3)
    assert ACTIONS["line-to-report"](explored, {"state": state}).told == {"replaced": False}
    again = ACTIONS["line-to-report"](explored, {"state": f"{state}&speed=2&step=1"})
    assert again.told == {"replaced": True}
    (section,) = read_report(tmp_path / "report").sections
    assert section.title == "From A to B: source and target"
    (figure,) = section.blocks
    assert [row.label for row in figure.rows] == ["source, the code", "target, mapped"]
    assert [row.images[0].count for row in figure.rows] == [3, 3]
    command = section.record["command"]
    assert command == f"latentmap explore a b --at '{state}' --figure line.png"
    other = state_of("start=random&seed=2", "start=mean", steps=3)
    assert ACTIONS["line-to-report"](explored, {"state": other}).told == {"replaced": False}
    assert len(read_report(tmp_path / "report").sections) == 2


def test_a_report_gets_so_many_lines_and_no_more(explored, tmp_path, monkeypatch):
    monkeypatch.setattr("latentmap.explorer.line_view._MOST_ADDED", 2)
    explored = replace(explored, report=tmp_path / "report", added=set())
    states = [state_of(f"start=random&seed={n}", "start=mean", steps=2) for n in range(3)]
    for state in states[:2]:
        ACTIONS["line-to-report"](explored, {"state": state})
    with pytest.raises(ExplorerError, match=r"the report got 2 lines since .* start it again"):
        ACTIONS["line-to-report"](explored, {"state": states[2]})
    assert len(read_report(tmp_path / "report").sections) == 2
    assert ACTIONS["line-to-report"](explored, {"state": states[0]}).told == {"replaced": True}


@pytest.mark.parametrize(
    ("names", "file"), [({}, "FILE"), ({"def": "my face.png"}, "'my face.png'")]
)
def test_the_command_of_an_upload_names_its_file_where_it_is_known(explored, tmp_path, names, file):
    explored = replace(
        explored, report=tmp_path / "report", command="latentmap explore a b", own_names=names
    )
    explored.uploads.keep(Upload("def", [], [torch.zeros(4).double()]))
    state = state_of("start=upload&upload=def", "start=mean")
    ACTIONS["line-to-report"](explored, {"state": state})
    (section,) = read_report(tmp_path / "report").sections
    drawn = f"latentmap explore a b --image {file} --at 'view=line&a=start%3Dupload"
    assert section.record["command"].startswith(drawn)
    assert "an image of one's own to the mean code" in section.text[0]


def test_the_figure_of_a_state_is_that_of_its_view(explored):
    state = state_of("start=random&seed=1", "start=mean", steps=3)
    line = figure_of_state(explored, state)
    assert line.what == "a line of 3 codes in source, target"
    assert [row.label for row in line.figure.rows] == ["source, the code", "target, mapped"]
    assert all(len(row.images) == 3 for row in line.figure.rows)
    code = figure_of_state(explored, "start=random&seed=1")
    assert code.what == "one code in source, target"
    assert all(len(row.images) == 1 for row in code.figure.rows)


@pytest.mark.parametrize("view", ["other", "none"])
def test_a_view_that_is_not_drawn_is_refused(explored, view):
    with pytest.raises(ExplorerError, match=f"draws the views move, line, .*, not '{view}'"):
        figure_of_state(explored, f"view={view}&start=random")
    assert figure_of_state(explored, "view=move&start=random").what == "one code in source, target"


@pytest.mark.parametrize(
    ("action", "asked", "said"),
    [
        ("line", {"state": "steps=1"}, "2 to 32 steps"),
        ("line", {"state": "steps=33"}, "2 to 32 steps"),
        ("line", {"state": "steps=\u0663"}, "2 to 32 steps"),
        ("line", {"state": "steps=9999999999"}, "2 to 32 steps"),
        ("line", {"state": "speed=3"}, "a speed of 1, 2, 4, 8, 16, not '3'"),
        ("line", {"state": "loop=never"}, "once, round, back, not 'never'"),
        ("line", {"state": "a=start%3Dnowhere"}, "a state starts from one of"),
        ("line", {"state": "b=start%3Dimage%26image%3Dno"}, "none of the 400 images"),
        ("line", {"state": "a=start%3Dupload%26upload%3Dno"}, "not here any more"),
        ("line-file", {"state": "", "kind": "exe"}, "png, gif or webp, not as 'exe'"),
        ("line-file", {"state": ""}, "kind must be a text"),
        ("line-to-report", {"state": ""}, "there is no report here"),
    ],
)
def test_what_is_no_line_is_refused(explored, action, asked, said):
    with pytest.raises(ExplorerError, match=said):
        ACTIONS[action](explored, asked)


def test_models_that_do_not_decode_have_no_line_to_write(images, tmp_path):
    blind = LinearModel(4, seed=1, name="blind")
    blind.can_decode = False
    explored = explore_spaces(blind, [], images, tmp_path)
    assert ACTIONS["line"](explored, {"state": ""}).told["rows"] == []
    with pytest.raises(ExplorerError, match="no model here decodes"):
        ACTIONS["line-file"](explored, {"state": "", "kind": "png"})


def test_a_letter_is_read_as_it_was_written(explored):
    answer = ACTIONS["line"](explored, {"state": "steps=2"})
    told, pictures = read_letter(letter_of(answer))
    assert told["steps"] == 2 and len(pictures) == 6


def test_the_page_offers_what_a_line_can_be():
    page = Path(lines.__file__).parent / "page"
    player, view = ((page / name).read_text("utf-8") for name in ("player.js", "line.js"))
    assert f"SPEEDS = {list(lines.SPEEDS)};" in player
    (loops,) = re.findall(r"LOOPS = \{(.*)\};", player)
    assert {*re.findall(r"(\w+):", loops)} == {*get_args(Loop)}
    assert f"STEPS = {Line().steps};" in view and "min: 2, max: 32" in view
