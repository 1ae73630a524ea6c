"""The format and the size of figures, in every command that draws one."""

import re

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.cli.outputs import FORMATS, Outputs
from latentmap.report import figures
from latentmap.report.plots import DPI
from tests.cli.every_command import EVERY


def run(*words: str, code: int = 0):
    result = CliRunner().invoke(main, [*words])
    assert result.exit_code == code, result.output
    return result


def test_formats_and_pixels_to_an_inch_are_those_of_the_library():
    assert tuple(figures.FORMATS) == FORMATS
    assert Outputs().dpi == DPI


@pytest.mark.parametrize("words", EVERY)
def test_every_command_with_figures_has_their_size(words):
    names = {parameter.name for parameter in EVERY[words].params}
    if names & {"figure", "figures"}:
        assert {"width", "dpi"} <= names
        assert ("figures" in names) == ("figure_format" in names)


@pytest.mark.parametrize("given", [["--width", "8"], ["--dpi", "300"]])
def test_a_size_without_a_figure_is_refused(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    words = ("sample", "mnist-vae", "-n", "2", "--device", "cpu", *given)
    refused = run(*words, "--codes-out", "codes.npz", code=2).stderr
    assert f"{given[0]} has no effect without a figure: leave it out" in refused
    assert not list(tmp_path.iterdir())


def test_a_figure_is_as_wide_as_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("sample", "mnist-vae", "-n", "4", "--device", "cpu", "--width", "7.2")
    run(*words, "--figure", "made.pdf")
    box = re.search(rb"/MediaBox \[ 0 0 (\S+)", (tmp_path / "made.pdf").read_bytes())
    assert box is not None and float(box[1]) == pytest.approx(7.2 / 2.54 * 72, abs=0.01)
