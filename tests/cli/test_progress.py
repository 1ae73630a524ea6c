"""The progress bar: quiet in logs and in short work; its rate counts only what is done now."""

import io
import re

import pytest

from latentmap.cli.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def draw(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, seconds: float) -> str:
    """What the bar writes for 300 images, of which 100 were done before."""
    now = iter([1000.0] + [1000.0 + seconds] * 100)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("tqdm.std.time", lambda: next(now))
    with progress_bar("encoding") as progress:
        progress(100, 300)
        progress(200, 300)
    return stream.getvalue()


def test_long_work_on_a_terminal_shows_rate_and_time_left(monkeypatch):
    text = draw(monkeypatch, Terminal(), seconds=10)
    assert re.search(r"encoding: +67%.*200/300 \[00:10<00:10, +10\.0", text)


def test_short_work_shows_nothing(monkeypatch):
    assert draw(monkeypatch, Terminal(), seconds=1) == ""


def test_a_log_file_gets_nothing(monkeypatch):
    assert draw(monkeypatch, io.StringIO(), seconds=10) == ""


def test_work_that_never_reports_draws_nothing(capsys):
    with progress_bar("encoding"):
        pass
    assert capsys.readouterr().err == ""
