"""Storage: files appear whole, durable, and are gone when they could not be written."""

import errno
import os
from pathlib import Path

import pytest

from latentmap.cache.storage import Storage


def test_a_published_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path):
    storage = Storage()
    for content in (b"old", b"", b"new" * 5000):
        storage.publish(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_writer_left_is_in_nobodys_way(tmp_path):
    (tmp_path / "file.tmp").write_bytes(b"longer than what comes")
    Storage().publish(tmp_path / "file", b"short")
    assert (tmp_path / "file").read_bytes() == b"short"


def test_a_file_and_its_folder_reach_the_platter(tmp_path, monkeypatch):
    synced = []
    real = os.fsync

    def fsync(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs Linux's /proc to tell which file was synced")
    monkeypatch.setattr(os, "fsync", fsync)
    Storage().make_folder(tmp_path / "a" / "b")
    Storage().publish(tmp_path / "a" / "b" / "file", b"content")
    places = [path.removeprefix(str(tmp_path)) for path in synced]
    assert places == ["", "/a", "/a/b/file.tmp", "/a/b"]


@pytest.mark.parametrize("step", ["write", "sync", "rename"])
def test_a_failed_step_leaves_the_old_file_and_no_half_one(tmp_path, step, monkeypatch):
    storage = Storage()
    storage.publish(tmp_path / "file", b"old")

    def fail(*paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, step, fail)
    with pytest.raises(OSError, match="No space left"):
        storage.publish(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_folder_is_made_with_those_above_it_and_twice_is_no_error(tmp_path):
    storage = Storage()
    for _ in range(2):
        storage.make_folder(tmp_path / "a" / "b" / "c")
    storage.mkdir(tmp_path / "a")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_files_and_folders_can_be_removed(tmp_path):
    storage = Storage()
    storage.make_folder(tmp_path / "a")
    storage.publish(tmp_path / "a" / "file", b"")
    storage.unlink(tmp_path / "a" / "file")
    storage.rmdir(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
