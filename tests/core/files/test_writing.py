import os
import subprocess
import sys
from pathlib import Path

import pytest

from latentmap.errors import MapError, OutputError
from latentmap.files import (
    refuse_equal,
    refuse_existing,
    replace_atomic,
    replace_together,
    write_atomic,
)


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "result.json"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("error", [ValueError, MapError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "result.json"
    path.write_bytes(b"old")
    with pytest.raises(error), replace_atomic(path) as temporary:
        temporary.write_bytes(b"half")
        raise error("half way")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def write_both(first, second, content):
    with replace_together(first, second) as temporaries:
        for temporary in temporaries:
            temporary.write_bytes(content)


def test_files_are_replaced_together(tmp_path):
    paths = tmp_path / "a.npy", tmp_path / "a.txt"
    for content in (b"old", b"new"):
        write_both(*paths, content)
        assert [path.read_bytes() for path in paths] == [content, content]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("there", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("failing", [0, 1])
def test_where_one_cannot_be_replaced_none_is(tmp_path, monkeypatch, there, failing):
    paths = tmp_path / "a.npy", tmp_path / "a.txt"
    for place in there:
        paths[place].write_bytes(b"old")
    replace = Path.replace

    def fail(self, target):
        if target == paths[failing] and self.read_bytes() == b"new":
            raise PermissionError(1, "Operation not permitted")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match=r"could not be written: Operation not permitted"):
        write_both(*paths, b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [paths[i].name for i in there]
    assert all(paths[place].read_bytes() == b"old" for place in there)


def test_a_full_disk_is_one_clear_line(tmp_path):
    path = tmp_path / "result.json"
    with (
        pytest.raises(OutputError, match=r"result.json could not be written: No space left"),
        replace_atomic(path),
    ):
        raise OSError(28, "No space left on device")


def test_the_temporary_name_keeps_the_suffix(tmp_path):
    with replace_atomic(tmp_path / "grid.png") as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"x")


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    write = """
import os, sys
from latentmap.files import replace_atomic
with replace_atomic(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    os._exit(9)
"""
    path = tmp_path / "p.h5"
    subprocess.run([sys.executable, "-c", write, path], check=False)
    (half,) = tmp_path.iterdir()
    host, process, mark = half.suffixes[-3].strip(".").split("-")
    # Of a living process, and of another machine until a day has passed.
    ours = half.with_name(f".p.{host}-{os.getpid():x}-{mark}.tmp.h5")
    foreign = half.with_name(f".p.{int(host, 16) ^ 1:04x}-{process}-{mark}.tmp.h5")
    for other in (ours, foreign, tmp_path / ".p.tmp.h5", tmp_path / ".q.tmp.h5"):
        other.write_bytes(b"other")
    write_atomic(path, b"new")
    assert not half.exists()
    assert len(list(tmp_path.iterdir())) == 5
    os.utime(foreign, (0, 0))
    write_atomic(path, b"new")
    assert not foreign.exists()


def test_an_output_that_exists_asks_for_force(tmp_path):
    path = tmp_path / "map.safetensors"
    refuse_existing(path, force=False)
    path.touch()
    with pytest.raises(OutputError, match="exists: choose another path, or add --force"):
        refuse_existing(path, force=False)
    refuse_existing(path, force=True)
    with pytest.raises(OutputError, match=r"the folder of .* does not exist: make it first"):
        refuse_existing(tmp_path / "no" / "map.safetensors", force=False)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(OutputError, match="link exists: choose another path"):
        refuse_existing(tmp_path / "link", force=False)


def test_a_file_takes_the_place_of_nothing_but_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "null", "folder"):
        with pytest.raises(OutputError, match=f"{name} is a folder, a device or a pipe, which no"):
            write_atomic(tmp_path / name, b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "null", "pipe"]


def test_one_path_cannot_be_two_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refuse_equal({"--out": Path("a.png"), "--figure": Path("b.png"), "--grid": None, "-x": None})
    with pytest.raises(OutputError, match=r"--out and --figure are both .*a\.png: give each"):
        refuse_equal({"--out": Path("a.png"), "--figure": tmp_path / "a.png"})
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    refuse_equal({"--out": tmp_path / "circle", "--figure": Path("a.png")})
    (tmp_path / "link").symlink_to(tmp_path)
    for other in ("folder/../a.png", "link/a.png"):
        with pytest.raises(OutputError, match="are both"):
            refuse_equal({"--out": Path("a.png"), "--figure": Path(other)})


def test_a_folder_that_takes_nothing_is_refused_before_any_work(tmp_path, monkeypatch):
    # Root may write anywhere, so the answer of the system is given here.
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(OutputError, match=r"nothing can be written into the folder of .*a\.png"):
        refuse_existing(tmp_path / "a.png", force=False)


def test_a_name_that_safetensors_could_not_read_again_is_refused(tmp_path):
    with pytest.raises(OutputError, match="is no UTF-8: choose another one"):
        refuse_existing(tmp_path / "a\udcff.safetensors", force=True)
