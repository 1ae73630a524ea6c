"""Writing HDF5: what the disk says is one error, and nothing else is printed."""

import sys

import pytest

from latentmap.files import create_hdf5


def test_a_file_that_cannot_be_opened_is_an_error_and_no_more(tmp_path, monkeypatch):
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    with pytest.raises(FileNotFoundError), create_hdf5(tmp_path / "missing" / "x.h5"):
        pass
    assert not ignored
