"""Regular files alone are opened."""

import os
import socket

import pytest

from latentmap.errors import LatentmapError
from latentmap.files import TensorFile, file_kind, open_regular, read_regular


def test_a_file_and_a_link_to_one_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "file") == read_regular(tmp_path / "link") == b"abc"


def test_a_pipe_and_links_to_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, kind in (("pipe", "a pipe"), ("zero", "a device")):
        for opened in (open_regular, file_kind):
            with pytest.raises(OSError, match=f"it is {kind}, not a regular file: save it"):
                opened(tmp_path / name)


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Names of sockets are short.
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        with pytest.raises(OSError, match="it is a socket, not a regular file"):
            open_regular("socket")


def test_a_folder_is_named_as_one(tmp_path):
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_a_file_of_tensors_that_is_a_pipe_is_refused_in_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    kind = TensorFile(kind="model", format=1, error=LatentmapError, advice="give a model")
    with pytest.raises(LatentmapError, match=r"it is a pipe, not a regular file: .*; give a model"):
        kind.read(tmp_path / "pipe")
