"""latentmap train vae --gates: what is said of it, and what is refused."""

import json

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.encoders import load
from latentmap.encoders.training import gated

TINY = ["--data", "digits", "--limit", "100", "--batch-size", "20", "--latent-dim", "3"]
DENSE = ["--architecture", "dense", "--widths", "8", "--steps", "15"]


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # So that gates close in a few steps.
    monkeypatch.setattr(gated, "_RATE", 0.5)
    monkeypatch.setattr(gated, "_EXCESS", 0.0)


def train(*words, code=0, out="a.safetensors"):
    words = ["train", "vae", *TINY, *DENSE, *map(str, words), "--device", "cpu", "--out", out]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result


def test_gates_close_and_the_rest_is_written():
    said = json.loads(train("--gates", "--tau", 60, "--json").stdout)
    gates = said["gates"]
    assert gates["reached"] is True
    assert (gates["tau"], gates["tau_mse"]) == (60, 60 / 64)
    assert gates["latent_dim"] == 3
    assert load("a.safetensors").latent_dim == len(gates["open"]) == 1
    assert said["figures"]["open_gates"] == 1
    shown = train("--gates", "--tau-mse", 60 / 64, "--force")
    assert shown.stderr.startswith("next: ")
    line = shown.stdout.splitlines()[-1]
    assert line.startswith(f"1 of 3 gates are open (variables {gates['open'][0]}); error ")
    assert line.endswith("per pixel, tau 60 an image")


def test_a_tau_that_is_not_reached_is_told_and_the_model_written():
    said = train("--gates", "--tau", 0.01, "--json")
    gates = json.loads(said.stdout)["gates"]
    assert gates["reached"] is False
    assert gates["open"] == [0, 1, 2]
    assert f"tau 0.01 is not reached: error {gates['error']:.4g} an image" in said.stderr
    assert load("a.safetensors").latent_dim == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gates"], "--gates needs one of --tau and --tau-mse"),
        (["--tau", "3"], "and these need --gates"),
        (["--tau-mse", "0.1"], "and these need --gates"),
        (["--gates", "--tau", "3", "--tau-mse", "0.1"], "--gates needs one of"),
        (["--gates", "--tau", "3", "--gamma", "1"], "leave --gamma out"),
        (["--gates", "--tau", "0"], "0"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, words, message):
    assert message in train(*words, code=2).stderr
    assert not list(tmp_path.iterdir())


def test_the_staircase_of_a_trace_is_shown_and_drawn(tmp_path):
    train("--gates", "--tau", 60, "--trace", "a.trace")
    show = ["trace", "show", "a.trace", "--staircase", "a.png", "--report", "report"]
    shown = CliRunner().invoke(main, show)
    assert shown.exit_code == 0, shown.output
    assert "open gates  from step" in shown.stdout
    assert "tau 60 an image." in shown.stdout
    assert (tmp_path / "a.png").exists()
    train("--trace", "b.trace", "--force")
    refused = CliRunner().invoke(main, ["trace", "show", "b.trace", "--staircase", "b.png"])
    assert refused.exit_code == 1
    assert refused.stderr.count("\n") == 1
    assert "b.trace is of a training without gates, so it has no staircase" in refused.stderr
