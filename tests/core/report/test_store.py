import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import torch

from latentmap.errors import OutputError
from latentmap.files import write_atomic
from latentmap.report import ImageRow, ImageRows, Section, store
from latentmap.report.embedding import image_strip
from latentmap.report.page import render
from latentmap.report.parts import Report
from latentmap.report.store import add_section, read_report, write_report


def test_names_that_are_no_utf8_are_written_as_escapes(tmp_path):
    folder = tmp_path / "report"
    section = Section("a", "A", ["bad\udcff.zip"], [], record={"command": "latentmap \udcff"})
    add_section(folder, section)
    (read,) = read_report(folder).sections
    assert (read.text, read.record) == ([r"bad\xff.zip"], {"command": r"latentmap \xff"})
    assert r"bad\xff.zip" in (folder / "index.html").read_text("utf-8")


def test_a_folder_holds_the_page_and_its_content(tmp_path, report):
    folder = tmp_path / "report"
    write_report(folder, report)
    shown = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    assert shown == ["index.html", "report.json"]
    assert read_report(folder).to_json() == report.to_json()
    assert (folder / "index.html").read_text(encoding="utf-8") == render(read_report(folder))


def test_sections_are_added_and_replaced(tmp_path):
    folder = tmp_path / "report"
    given = (Section("a", "A"), Section("b", "B"), Section("a", "new"))
    assert [add_section(folder, section) for section in given] == [False, False, True]
    assert read_report(folder).title == "latentmap report"
    assert [one.title for one in read_report(folder).sections] == ["new", "B"]
    assert "new" in (folder / "index.html").read_text(encoding="utf-8")


def test_a_report_is_written_before_the_sections_of_others(tmp_path):
    folder = tmp_path / "report"
    for name in ("other", "a", "old"):
        add_section(folder, Section(name, name))
    write_report(folder, Report("x", [Section("a", "new"), Section("b", "B")]), replaces=["old"])
    assert read_report(folder).title == "x"
    assert [one.title for one in read_report(folder).sections] == ["new", "B", "other"]


def test_all_who_add_at_the_same_time_do(tmp_path):
    names = [f"s{number}" for number in range(8)]
    folder = tmp_path / "report"

    def add(name):
        if name == "s3":
            write_report(folder, Report("x", [Section(name, name)]))
        else:
            add_section(folder, Section(name, name))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, names))
    assert sorted(one.id for one in read_report(folder).sections) == names


def test_an_empty_folder_becomes_a_report(tmp_path):
    write_report(tmp_path, Report("x"))
    assert read_report(tmp_path).title == "x"


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    for call in (lambda: write_report(tmp_path, Report("x")), lambda: add_section(tmp_path, SOME)):
        with pytest.raises(OutputError, match="holds other files and no report: choose a new or"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


SOME = Section("a", "A")


def test_other_json_is_no_report(tmp_path):
    (tmp_path / "report.json").write_text('{"title": "mine"}')
    with pytest.raises(OutputError, match="is not a latentmap report 2: choose another folder"):
        add_section(tmp_path, SOME)
    (tmp_path / "report.json").write_text("mine")
    with pytest.raises(OutputError, match=r"report\.json cannot be read as a report"):
        add_section(tmp_path, SOME)
    (tmp_path / "report.json").write_text(json.dumps({"format": "latentmap report 2"}))
    with pytest.raises(OutputError, match=r"report\.json is damaged: report must be an object"):
        add_section(tmp_path, SOME)


def same(report, *sections):
    return report.to_json()["sections"] == Report("x", list(sections)).to_json()["sections"]


def with_picture(id, value):
    strip = image_strip(torch.full((2, 3, 8, 8), value), f"of {value}")
    return Section(id, id, blocks=[ImageRows(f"{id}-i", "I", [ImageRow("r", [strip])])])


def test_pictures_are_in_the_page_alone(tmp_path, report):
    write_report(tmp_path, report)
    uri = report.sections[0].blocks[-1].image.uri
    assert uri not in (tmp_path / "report.json").read_text()
    assert "index.html#picture-" in (tmp_path / "report.json").read_text()
    assert (tmp_path / "index.html").read_text().count(uri) == 1


def test_a_report_of_the_first_format_is_read_and_written_anew(tmp_path, report):
    content = {"format": "latentmap report 1", **report.to_json()}
    blocks = content["sections"][0]["blocks"]
    (rows,) = (block["rows"] for block in blocks if "captions" in str(block.get("rows")))
    for row in rows:
        del row["captions"]
        for image in row["images"]:
            del image["count"]
    (tmp_path / "report.json").write_text(json.dumps(content))
    before = read_report(tmp_path)
    assert before.sections[0].blocks[-1] == report.sections[0].blocks[-1]
    add_section(tmp_path, Section("a", "A"))
    assert json.loads((tmp_path / "report.json").read_text())["format"] == "latentmap report 2"
    assert same(read_report(tmp_path), *before.sections, Section("a", "A"))


def test_without_its_page_a_report_has_no_pictures_and_is_refused(tmp_path):
    add_section(tmp_path, Section("a", "A"))
    (tmp_path / "index.html").unlink()
    add_section(tmp_path, with_picture("b", 0.5))  # Without pictures it needs no page.
    page = (tmp_path / "index.html").read_text()
    for other in (page.replace("base64,/9j/", "base64,/9k/"), page[: page.index("<image")], ""):
        (tmp_path / "index.html").write_text(other)
        with pytest.raises(OutputError, match=r"picture of it is missing in .*index\.html: keep"):
            read_report(tmp_path)


def test_whenever_a_writer_is_killed_the_report_is_whole(tmp_path, monkeypatch):
    """Each write in turn is the last one: then the report is as it was, or as it should be."""
    first, second = with_picture("a", 0.25), with_picture("a", 0.75)
    for number in range(4):
        folder = tmp_path / str(number)
        add_section(folder, first)
        left = number

        def write(path, data):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            write_atomic(path, data)

        monkeypatch.setattr(store, "write_atomic", write)
        with suppress(KeyboardInterrupt):
            add_section(folder, second)
        monkeypatch.setattr(store, "write_atomic", write_atomic)
        assert any(same(read_report(folder), one) for one in (first, second))
        add_section(folder, second)
        assert same(read_report(folder), second)
    assert left == 0  # There are three writes.


def test_a_reader_beside_a_writer_sees_a_whole_report(tmp_path, monkeypatch):
    first, second = with_picture("a", 0.25), with_picture("a", 0.75)
    add_section(tmp_path, first)
    read = store.read_regular

    def read_late(path):
        if path.name == "index.html":
            monkeypatch.setattr(store, "read_regular", read)
            add_section(tmp_path, second)
        return read(path)

    monkeypatch.setattr(store, "read_regular", read_late)
    assert same(read_report(tmp_path), second)


def test_a_file_and_a_missing_parent_are_refused(tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OutputError, match="is a file, but a report is a folder: choose another"):
        write_report(tmp_path / "file", Report("x"))
    with pytest.raises(OutputError, match=r"the folder of .* does not exist: make it first"):
        write_report(tmp_path / "no" / "report", Report("x"))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(OutputError, match="cannot be made: Permission denied"):
        write_report(tmp_path / "report", Report("x"))


def test_waiting_for_another_process_has_an_end(tmp_path, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(store, "_PATIENCE", 0.1)
    write_report(tmp_path / "report", Report("x"))
    with (
        FileLock(tmp_path / "report" / ".report.lock"),
        pytest.raises(OutputError, match="is still being written by another process"),
    ):
        write_report(tmp_path / "report", Report("y"))


@pytest.mark.parametrize("beside", [".report.lock", ".report.0000-1-00000000.tmp.json"])
def test_a_page_of_somebody_else_is_kept_whatever_lies_beside_it(tmp_path, beside):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("precious")
    (folder / beside).touch()
    for path in (folder, tmp_path / "link"):
        if path != folder:
            path.symlink_to(folder)
        with pytest.raises(OutputError, match="holds other files and no report"):
            add_section(path, Section("a", "A"))
    assert (folder / "index.html").read_text() == "precious"


def test_what_a_killed_writer_of_the_first_report_left_is_no_hindrance(tmp_path):
    (tmp_path / ".report.lock").touch()
    left = tmp_path / ".report.0000-1-00000000.tmp.json"
    left.touch()
    os.utime(left, (0, 0))
    add_section(tmp_path, Section("a", "A"))
    assert not left.exists()
    assert [one.id for one in read_report(tmp_path).sections] == ["a"]
