"""The progress of a command: nothing of quick ones, and all stages of a command have one clock."""

import click
from click.testing import CliRunner

from latentmap.cli.progress import progress_bar
from latentmap.progress import ShownStages


def run(seconds: float, monkeypatch) -> str:
    """What a command with two stages of so many seconds says on stderr, no terminal here."""
    now = [0.0]
    shown = ShownStages(clock=lambda: now[0])
    monkeypatch.setattr("latentmap.cli.progress.ShownStages", lambda: shown)

    @click.command()
    def work() -> None:
        for name in ("reading", "encoding"):
            with progress_bar(name) as progress:
                progress(0, 200)
                now[0] += seconds
                progress(100, 200)

    return CliRunner().invoke(work).stderr


def test_a_quick_command_says_nothing_of_its_progress(monkeypatch):
    assert run(10, monkeypatch) == ""


def test_a_long_command_says_where_it_is(monkeypatch):
    assert run(20, monkeypatch) == "encoding: 100 of 200 images (50%), 5 a second, 20 s left\n"
