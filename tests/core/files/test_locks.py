import multiprocessing
from pathlib import Path

import pytest

from latentmap.errors import OutputError
from latentmap.files import hold_file, hold_lock, write_atomic

_TIMES = 25


def count(path: Path) -> None:
    for _ in range(_TIMES):
        with hold_file(path):
            write_atomic(path, str(int(path.read_bytes()) + 1).encode())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of a fork beside threads of torch.
def test_of_processes_that_change_one_file_none_is_lost(tmp_path):
    path = tmp_path / "count"
    path.write_bytes(b"0")
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=count, args=[path]) for _ in range(3)]
    for other in others:
        other.start()
    count(path)
    for other in others:
        other.join()
    assert path.read_bytes() == str(4 * _TIMES).encode()
    assert list(tmp_path.iterdir()) == [path], "no lock is left beside it"


def test_a_file_that_cannot_be_changed_is_refused(tmp_path):
    with (
        pytest.raises(OutputError, match="x cannot be changed: No such file"),
        hold_file(tmp_path / "x"),
    ):
        pass


def test_a_lock_is_no_way_to_empty_another_file(tmp_path):
    (tmp_path / "thesis").write_text("precious")
    (tmp_path / "a.lock").symlink_to(tmp_path / "thesis")
    with (
        pytest.raises(OSError, match="symbolic links"),
        hold_lock(tmp_path / "a.lock", "a", timeout=0),
    ):
        pass
    (tmp_path / "b.lock").write_text("precious")
    with hold_lock(tmp_path / "b.lock", "b", timeout=0):
        pass
    assert (tmp_path / "thesis").read_text() == (tmp_path / "b.lock").read_text() == "precious"
