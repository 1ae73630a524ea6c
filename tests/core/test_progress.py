"""Progress as it is shown: bars on terminals and in notebooks, lines in logs, nothing of short
work; a rate counts only what is done now."""

import io
import re
import sys
from types import SimpleNamespace

import pytest

from latentmap.progress import ShownStages, reporting, silent, stage_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def draw(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, seconds: float) -> str:
    """What the bar writes for 300 images, of which 100 were done before."""
    now = iter([1000.0] + [1000.0 + seconds] * 100)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("tqdm.std.time", lambda: next(now))
    with ShownStages()("encoding") as progress:
        progress(100, 300)
        progress(200, 300)
    return stream.getvalue()


def test_long_work_on_a_terminal_shows_rate_and_time_left(monkeypatch):
    text = draw(monkeypatch, Terminal(), seconds=10)
    assert re.search(r"encoding: +67%.*200/300 \[00:10<00:10, +10\.0", text)


def test_short_work_on_a_terminal_shows_nothing(monkeypatch):
    assert draw(monkeypatch, Terminal(), seconds=1) == ""


def test_a_notebook_gets_a_bar_though_its_stderr_is_no_terminal(monkeypatch):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    # As where the notebook has no widgets: a bar of text.
    monkeypatch.setattr("tqdm.auto.tqdm", __import__("tqdm").tqdm)
    assert "200/300" in draw(monkeypatch, io.StringIO(), seconds=10)


def test_a_log_gets_a_line_every_thirty_seconds(capsys):
    clock = Clock()
    with ShownStages(clock=clock)("encoding") as progress:
        for done in range(0, 101, 5):
            progress(done * 100, 10000)
            clock.now += 5
    assert capsys.readouterr().err.splitlines() == [
        "encoding: 3,000 of 10,000 images (30%), 100 a second, 1 min 10 s left",
        "encoding: 6,000 of 10,000 images (60%), 100 a second, 40 s left",
        "encoding: 9,000 of 10,000 images (90%), 100 a second, 10 s left",
    ]


def test_a_log_gets_nothing_of_short_work(capsys):
    clock = Clock()
    with ShownStages(clock=clock)("encoding") as progress:
        for done in range(30):
            progress(done, 30)
            clock.now += 1
    assert capsys.readouterr().err == ""


def test_short_stages_together_are_long_work(capsys):
    clock = Clock()
    stages = ShownStages(clock=clock)
    for number in range(5):
        with stages(f"fitting {number}", "steps") as progress:
            for done in range(9):
                progress(done, 8)
                clock.now += 1
    assert capsys.readouterr().err == "fitting 3: 3 of 8 steps (38%), 1 a second, 5 s left\n"


def test_the_rate_of_resumed_work_is_of_what_is_done_now(capsys):
    clock = Clock()
    with ShownStages(clock=clock)("encoding") as progress:
        progress(8000, 10000)
        clock.now += 40
        progress(8010, 10000)
    assert capsys.readouterr().err == (
        "encoding: 8,010 of 10,000 images (80%), 0.25 a second, 2 h 12 min left\n"
    )


def test_the_next_part_of_a_stage_has_a_rate_of_its_own(capsys):
    clock = Clock()
    with ShownStages(clock=clock)("fitting", "steps") as progress:
        progress(5000, 5000)
        clock.now += 20
        progress(0, 60)
        clock.now += 10
        progress(20, 60)
    assert capsys.readouterr().err == "fitting: 20 of 60 steps (33%), 2 a second, 20 s left\n"


def test_work_of_which_nothing_is_done_has_no_rate(capsys):
    clock = Clock()
    stages = ShownStages(clock=clock)
    clock.now += 31
    with stages("encoding\x1b[2J") as progress:
        progress(0, 0)
    assert capsys.readouterr().err == "encoding\\x1b[2J: 0 of 0 images\n"


def test_work_that_never_reports_draws_nothing(capsys):
    with ShownStages()("encoding"):
        pass
    assert capsys.readouterr().err == ""


def test_a_function_may_be_given_a_callback_or_told_to_show_its_progress():
    def callback(done: int, total: int) -> None: ...

    with reporting(callback, "encoding") as progress:
        assert progress is callback
    with reporting(True, "encoding") as progress:
        assert progress is not None
    for nothing in (False, None):
        with reporting(nothing, "encoding") as progress:
            assert progress is None
    assert stage_of(False) is silent
    assert isinstance(stage_of(True), ShownStages)
