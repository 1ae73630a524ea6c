"""diagnose of models that are no VAEs of vectors, run as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main

DIGITS = ("--data", "digits", "--limit", "60")
GRID = "pixels:2?size=8x8"


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, code=0):
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == code, result.output
    return result


def test_a_grid_is_diagnosed_by_its_channels(workdir):
    words = ("diagnose", GRID, *DIGITS)
    found = json.loads(run(*words, "--json", "--figure", "a.png", "--report", "report").stdout)
    assert (found["model"], found["n"], found["shape"]) == (GRID, 60, [3, 4, 4])
    assert found["config"]["scaling_factor"] == pytest.approx(found["scaling_factor"], rel=1e-5)
    assert len(found["config_by_channel"]["latents_std"]) == len(found["channels"]) == 3
    assert {"data", "n_seen", "mse_low", "spectrum", "correlation_high"} < set(found)
    assert Path("a.png").exists()
    assert "Channels of pixels:2" in (workdir / "report" / "index.html").read_text("utf-8")
    text = run(*words).stdout
    assert "scaling factor" in text
    assert "Spectrum of the covariance of channels" in text


def test_several_models_of_any_kind_are_one_table():
    names = ("vae", "pixels:8", "pca:4")
    found = json.loads(run("diagnose", *names, *DIGITS, "--json").stdout)
    assert [one["model"] for one in found["models"]] == list(names)
    assert [len(one["shape"]) for one in found["models"]] == [1, 3, 1]
    assert ["kl" in one for one in found["models"]] == [True, False, False]
    lines = run("diagnose", *names, *DIGITS).stdout.splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["model", *names]


@pytest.mark.parametrize(
    "words",
    [
        ["--scatter", "a.png"],
        ["--plane", "a.png"],
        ["--encoder", "vae"],
        ["--gain-images", "3"],
    ],
)
def test_options_of_single_variables_are_refused_for_grids(words):
    error = run("diagnose", "vae", GRID, *DIGITS, *words, code=2).stderr
    why = r"has no effect where channels are measured (codes of pixels:2 have the shape 3x4x4)"
    assert f"{words[0]} {why}: leave it out" in error
    assert not Path("a.png").exists()


def test_drawn_codes_need_a_posterior():
    error = run("diagnose", GRID, *DIGITS, "--sampled", code=1).stderr
    assert "pixels:2 (pixels) has no posterior" in error


def test_a_figure_that_is_no_picture_is_refused_before_any_work():
    assert (
        "must end in .pdf, .svg"
        in run("diagnose", GRID, *DIGITS, "--figure", "a.txt", code=1).stderr
    )


def test_images_are_of_the_size_that_was_asked_for(workdir):
    np.save("grey.npy", np.random.default_rng(0).integers(0, 256, (20, 16, 16), dtype=np.uint8))
    found = json.loads(run("diagnose", "pixels:4?size=16x8", "--data", "grey.npy", "--json").stdout)
    assert found["shape"] == [3, 4, 2]
