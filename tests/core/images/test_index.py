"""An index lists the images of a folder as they stand in it, and is refused once it was changed."""

import json
import os
import tracemalloc

import numpy as np
import pytest

from latentmap.errors import ImageError, OutputError
from latentmap.images import index_file, indexing, open_images
from latentmap.images.index_file import open_index
from latentmap.images.indexing import write_index
from tests.core.images.test_tars import png


def write_folder(folder, count=30):
    rng = np.random.default_rng(0)
    for i in rng.permutation(count).tolist():
        place = folder / ("even" if i % 2 == 0 else "odd")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.png").write_bytes(png(200 + i % 50))
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def indexed(folder, out=None):
    out = out or folder.parent / "faces.index"
    write_index(folder, out)
    return out


@pytest.mark.parametrize(("run", "most", "step"), [(7, 3, 4), (1, 2, 1), (250_000, 256, 4096)])
def test_an_index_is_its_folder(tmp_path, monkeypatch, run, most, step):
    monkeypatch.setattr(indexing, "_RUN", run)
    monkeypatch.setattr(indexing, "_MOST", most)
    for module in (indexing, index_file):
        monkeypatch.setattr(module, "STEP", step)
    folder = write_folder(tmp_path / "faces")
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(png(222))
    told = []
    found = write_index(folder, tmp_path / "a.index", progress=lambda *one: told.append(one))
    assert (found.images, found.others) == (31, 1)
    assert told[-1] == ((31 - 1) // step * step, 31)
    whole, listed = open_images(folder), open_images(tmp_path / "a.index")
    assert np.array_equal(listed.ids, whole.ids)
    assert listed.fingerprint == whole.fingerprint
    assert listed.choice.file == "a.index"
    assert listed.labels is None or listed.labels.tolist() == whole.labels.tolist()
    index = open_index(tmp_path / "a.index")
    for start, stop in [(0, 31), (0, 1), (30, 31), (3, 4), (5, 19), (8, 16)]:
        assert index.ids(start, stop).tolist() == whole.ids[start:stop].tolist()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.index", "faces"]


def test_it_is_a_text_that_people_can_read(tmp_path):
    for name in ("10.png", "9.png"):
        (tmp_path / "faces").mkdir(exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(png(200))
    head, *names, places = indexed(tmp_path / "faces").read_text().splitlines()
    assert json.loads(head) == {
        "format": "latentmap index",
        "version": 1,
        "folder": "faces",
        "images": 2,
        "bytes": 13,
    }
    assert names == ["9.png", "10.png"] and json.loads(places) == {"places": [0]}


def test_index_and_folder_may_be_moved_together(tmp_path):
    before = indexed(write_folder(tmp_path / "a" / "faces"))
    (tmp_path / "elsewhere").mkdir()
    elsewhere = indexed(tmp_path / "a" / "faces", tmp_path / "elsewhere" / "faces.index")
    fingerprint = open_images(before).fingerprint
    assert open_images(elsewhere).fingerprint == fingerprint
    (tmp_path / "a").rename(tmp_path / "b")
    assert open_images(tmp_path / "b" / "faces.index").fingerprint == fingerprint
    with pytest.raises(
        ImageError, match=r"the folder of .*, .*/a/faces, is not there: bring it ba"
    ):
        open_images(elsewhere)


def test_splits_and_groups_are_those_of_the_folder(tmp_path):
    folder = write_folder(tmp_path / "faces")
    names = open_images(folder).ids.tolist()
    rows = "".join(f"{name} {i % 3}\n" for i, name in enumerate(names))
    (folder / "list_eval_partition.txt").write_text(rows)
    index = indexed(folder)
    assert open_images(index).splits.tolist() == open_images(folder).splits.tolist()
    (folder / "list_eval_partition.txt").rename(tmp_path / "list_eval_partition.txt")
    assert open_images(index).split_rule == str(tmp_path / "list_eval_partition.txt")


def test_an_image_that_went_is_named(tmp_path):
    folder = write_folder(tmp_path / "faces", 4)
    source = open_images(indexed(folder))
    (folder / "odd" / "1.png").unlink()
    with pytest.raises(ImageError, match=r"'odd/1.png' of .*faces.index cannot be read: No such f"):
        source.read(2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"even/2.png", b"../../x/2.", "'../../x/2.' is no path of an image in its folder"),
        (b"even/2.png", b"/etc/p.png", "'/etc/p.png' is no path"),
        (b"even/2.png", b"even/./2.p", "'even/./2.p' is no path"),
        (b"even/2.png", b"even//2.pg", "'even//2.pg' is no path"),
        (b"even/2.png", b"even\x00/2png", "is no path of an image"),
        (b"even/2.png", b"even/0.png", "it has 'even/0.png' twice"),
        (b"even/2.png", b"even\n2.png", "it has another number of paths than it says"),
        (b"even/2.png\n", b"", "Expecting value|Extra data"),
        (b'"images": 6', b'"images": 7', "it has another number of paths"),
        (b'"images": 6', b'"images": 0', "it does not hold what it says"),
        (b'"images": 6', b'"images": 6e9', "it does not say what it holds"),
        (b'"bytes": 63', b'"bytes": 10', "Expecting value"),
        (b'"bytes": 63', b'"bytes": 99999', "it does not hold what it says"),
        (b"[0]", b"[1]", "the places of its paths are missing"),
        (b"[0]", b"[0, 5]", "the places of its paths are missing"),
        (b"[0]", b"5", "the places of its paths are missing"),
        (b"[0]}", b"", "is no index of images, or was changed"),
        (b'"version": 1', b'"version": 2', "is an index of version 2, this latentmap reads ver"),
        (b"latentmap index", b"other", "it does not begin as one"),
        (b'"folder": "faces"', b'"folder": 5', "it does not say what it holds"),
        (b'"folder": "faces"', b'"folder": "f"', r"the folder of .*, .*/f, is not there"),
    ],
)
def test_what_was_changed_is_refused(tmp_path, old, new, message):
    path = indexed(write_folder(tmp_path / "faces", 6))
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    with pytest.raises(ImageError, match=message):
        open_images(path)


def with_holes(path, count, places=None, size=8 << 30):
    """An index of ``count`` images and ``size`` bytes of paths, nearly all of them zeros."""
    said = {"format": "latentmap index", "version": 1, "folder": "faces"}
    head = json.dumps({**said, "images": count, "bytes": size}).encode() + b"\n"
    with path.open("wb") as file:
        file.write(head + b"1.png\n")
        file.truncate(len(head) + size)
        if places is not None:
            file.seek(0, os.SEEK_END)
            file.write(json.dumps({"places": places}).encode() + b"\n")
        else:
            file.truncate(len(head) + size + (8 << 30))
    return path


@pytest.mark.parametrize(
    ("count", "places", "message"),
    [
        (1, None, "it has more than 88 bytes after its paths"),
        (1, [0], "from one of its places to the next is more than 4096 paths take"),
        (512 * 4096, [i << 24 for i in range(512)], "it has another number of paths than it says"),
    ],
)
def test_of_a_file_with_holes_no_more_is_read_than_paths_can_take(tmp_path, count, places, message):
    (tmp_path / "faces").mkdir()
    path = with_holes(tmp_path / "a.index", count, places)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=message) as error:
            open_images(path)
        assert tracemalloc.get_traced_memory()[1] < 128 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"[" * 9000, b"{}\n", bytes(500), b"1.png\n2.png"]
)
def test_what_is_no_index_is_refused(tmp_path, content):
    (tmp_path / "a.index").write_bytes(content)
    with pytest.raises(ImageError, match=r"a.index is (empty|nothing but|no index of images)"):
        open_images(tmp_path / "a.index")


def test_an_index_that_is_written_to_meanwhile_is_told(tmp_path):
    path = indexed(write_folder(tmp_path / "faces", 6))
    index = open_index(path)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ImageError, match=r"faces.index was written to meanwhile: begin again"):
        index.ids(0, 3)


def test_a_name_with_a_line_break_is_refused_and_nothing_is_left(tmp_path):
    folder = write_folder(tmp_path / "faces", 4)
    (folder / "a\nb.png").write_bytes(png(200))
    with pytest.raises(ImageError, match=r"holds 'a\\\\nb.png', whose name has a line break"):
        indexed(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_a_folder_without_images_has_no_index(tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "a.tar").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"faces holds no images .* only files such as 'a.tar'"):
        indexed(tmp_path / "faces")
    with pytest.raises(OutputError, match="could not be written"):
        write_index(write_folder(tmp_path / "other"), tmp_path / "none" / "a.index")
