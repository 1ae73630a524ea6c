"""Images of one's own that are there from the start, and their view as a figure."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import ExplorerError, ImageError
from latentmap.explorer import explore_spaces
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.drawing import figure_of_state, own_images_of
from latentmap.explorer.own_files import (
    OwnFile,
    read_own_file,
    require_own,
    with_own_files,
    words_of_images,
)
from latentmap.explorer.uploads import MOST_BYTES, Upload, Uploads
from latentmap.report.grids import _pixels


@pytest.fixture
def known(explored, images, tmp_path):
    """The spaces with two images, of which the second is noise."""
    noise = np.random.default_rng(0).integers(0, 256, images.read(0).shape[:2], dtype=np.uint8)
    files = []
    for name, pixels in (("face.png", images.read(7)[..., 0]), ("noise.png", noise)):
        Image.fromarray(pixels).save(tmp_path / name)
        files.append(read_own_file(tmp_path / name, name))
    return with_own_files(replace(explored, uploads=Uploads()), files), files


@pytest.mark.parametrize("number", [0, 1])
def test_it_is_drawn_as_the_page_shows_it(known, number):
    explored, files = known
    drawn = figure_of_state(explored, f"view=own&upload={files[number].id}")
    page = ACTIONS["own"](explored, {"upload": files[number].id})
    assert json.loads(json.dumps(drawn.told)) == page.told
    rows = drawn.figure.rows
    assert len(rows) == len(page.pictures) == 4
    for row, pixels in zip(rows, page.pictures, strict=True):
        np.testing.assert_array_equal(_pixels(row.images[0]), pixels)
    guess = ["", ", a guess"][number]
    labels = ["image, as source sees it", "source, its own code", f"target, mapped{guess}"]
    assert [row.label for row in rows] == [*labels, "target, its own code"]
    errors = [f"mse {one['error']:.3g}" for one in page.told["pictures"]]
    assert [text for row in rows[1:] for text, _ in row.texts] == errors
    (typical,) = page.told["typicality"]
    name = ("face.png", "noise.png")[number]
    verdict = ("inside", "outside, so that the map guesses")[number]
    away, nearer = f"{typical['distance']:.2f}", f"{100 * typical['nearer']:.1f}"
    assert drawn.what == (
        f"{name} in source, target; to target: {away} from the mean of the codes that the map was "
        f"fitted on, {nearer} % of which are nearer ({verdict})"
    )


def test_the_first_is_drawn_where_none_is_named(known):
    explored, files = known
    assert figure_of_state(explored, "view=own").told["upload"] == files[0].id
    described = ACTIONS["describe"](explored, {}).told["own"]
    assert described == [{"upload": one.id, "file": one.name} for one in files]


def test_its_code_is_moved_and_an_end_of_a_line(known):
    explored, (first, second) = known
    code = figure_of_state(explored, f"start=upload&upload={first.id}")
    assert [one["role"] for one in code.told["pictures"]] == ["source", "mapped", "own"]
    ends = [f"start%3Dupload%26upload%3D{one.id}" for one in (first, second)]
    line = figure_of_state(explored, f"view=line&a={ends[0]}&b={ends[1]}&steps=3")
    torch.testing.assert_close(line.figure.rows[0].images[:1], code.figure.rows[0].images)


def test_of_a_source_without_encoder_the_own_codes_are_drawn(models, images, tmp_path):
    source, target, _ = models
    explored = explore_spaces(source, [target], images, tmp_path)
    pixels = [images.read(2)] * 2
    code = explored.targets[0].own.of(str(images.ids[2]))
    explored.uploads.keep(Upload("ab", pixels, [None, code]))
    drawn = figure_of_state(explored, "view=own&upload=ab")
    assert [row.label for row in drawn.figure.rows][1:] == ["target, its own code"]
    assert drawn.what == "an image in source, target; source has no encoder"


def test_what_is_no_image_is_refused(tmp_path):
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("no image", encoding="utf-8")
    for name, said in (
        ("large.png", r"large\.png is too large: an image has 33,554,432 bytes at most"),
        ("pipe", "pipe cannot be read: .* a pipe.*; give the file of an image"),
        ("empty", "empty is empty: give the file of an image"),
        ("text", "text is no image that can be taken: "),
        ("none", "none cannot be read: No such file or directory; give the file of an image"),
    ):
        with pytest.raises(ImageError, match=said):
            read_own_file(tmp_path / name, name)


def test_what_is_not_given_is_not_here(known):
    explored, files = known
    require_own(files, [files[1].id])
    require_own(files, [])
    with pytest.raises(ExplorerError, match=r"'ab' of your own is not here .* file \(--image\)"):
        require_own(files, [files[0].id, "ab"])
    with pytest.raises(ExplorerError, match="there is no image of your own: give it by --image"):
        require_own([], [])
    with pytest.raises(ExplorerError, match="'ab' of your own is not here any more"):
        figure_of_state(explored, "view=own&upload=ab")
    with pytest.raises(ExplorerError, match="is not here any more"):
        figure_of_state(replace(explored, own_names={}), "view=own")


@pytest.mark.parametrize(
    ("state", "ids"),
    [
        ("view=own", []),
        ("view=own&upload=ab", ["ab"]),
        ("start=upload&upload=ab&moves=variables_0_1", ["ab"]),
        ("start=mean&upload=ab", None),
        ("view=points&start=upload&upload=ab", None),
        ("view=line&start=upload&upload=ab", None),
        ("view=line&a=start%3Dupload%26upload%3Dab&b=start%3Dupload%26upload%3Dcd", ["ab", "cd"]),
    ],
)
def test_a_state_says_which_of_them_it_draws(state, ids):
    assert own_images_of(state) == ids


def test_a_command_names_them_as_a_shell_reads_them():
    names = {"ab": "a.png", "cd": "it's; rm -rf $HOME"}
    assert words_of_images(names, ["ab"]) == "--image a.png"
    expected = """--image 'it'"'"'s; rm -rf $HOME' --image FILE"""
    assert words_of_images(names, ["cd", "ef", "cd"]) == expected
    assert OwnFile("a", b"x").id == OwnFile("b", b"x").id != OwnFile("a", b"y").id
