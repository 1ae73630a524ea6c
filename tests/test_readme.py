"""What the README shows runs, on the bundled models, with fewer images."""

import shlex
from pathlib import Path

import pytest

from latentmap.cli.demo import STEPS
from tests.test_docs import blocks, commands, invoke, python

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("latentmap.cli.image_choice.DEFAULT_SAMPLES", 300)
    return tmp_path


# None of the second part needs what the first has made.
TRY, _, OWN = README.partition("With images of your own:")


@pytest.mark.parametrize(
    ("part", "names", "left"),
    [
        (TRY, {"demo", "fit"}, ["latentmap-demo/report/index.html", "moved.png"]),
        (OWN, {"sample", "train", "compare", "support", "bench"}, ["report/index.html"]),
    ],
    ids=["bundled models", "images of your own"],
)
def test_the_commands_run_one_after_the_other(folder, monkeypatch, part, names, left):
    # All steps of the demo are those of tests/cli/test_demo.py; here a map, and its report.
    monkeypatch.setattr("latentmap.cli.demo.STEPS", STEPS[1:2])
    ran = [words for words in commands(part) if words[0] == "latentmap"]
    assert {words[1] for words in ran} == names
    for words in ran:
        invoke(words)
    for name in left:
        assert (folder / name).exists()


def test_the_first_commands_need_nothing_else():
    _, lines = next(blocks(README))
    words = [shlex.split(line, comments=True) for line in lines]
    assert words == [["make", "demo"], ["make", "test"]]


def test_the_python_runs(capsys):
    exec(python(README).replace("5000", "300"), {"__name__": "readme"})
    assert "efficiency" in capsys.readouterr().out
