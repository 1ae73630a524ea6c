"""latentmap models prune: what is said, written and refused."""

import json

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.encoders import load
from latentmap.report.store import PAGE

DIGITS = ["--data", "digits", "--limit", "200"]
TINY = ["--architecture", "dense", "--widths", "32", "--latent-dim", "8", "--batch-size", "20"]


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words, code=0):
    result = CliRunner().invoke(main, [*map(str, words), "--device", "cpu"])
    assert result.exit_code == code, result.output
    return result


def train(beta):
    words = ["--epochs", "20", "--learning-rate", "0.01", "--beta", beta]
    run("train", "vae", *DIGITS, *TINY, *words, "--out", "vae.safetensors")


def test_inactive_variables_go_and_the_rest_is_a_model_as_any_other(tmp_path):
    train(beta=1)
    words = ["vae.safetensors", *DIGITS, "--out", "small.safetensors"]
    shown = run("models", "prune", *words, "--figure", "small.png", "--report", "report")
    assert shown.stdout.startswith("small.safetensors: vae ")
    assert "dropped" in shown.stdout
    assert "mse per pixel, error summed over the 64 values of an image." in shown.stdout
    assert (tmp_path / "small.png").exists()
    assert "vae pruned" in (tmp_path / "report" / PAGE).read_text()
    said = json.loads(run("models", "prune", *words, "--force", "--json").stdout)
    smaller = load("small.safetensors")
    assert said["fingerprint"] == smaller.fingerprint
    assert smaller.latent_dim == len(said["kept"]) < 8
    assert said["mse_rise"] < 0.1 * said["mse_before"]
    found = json.loads(run("diagnose", "small.safetensors", *DIGITS, "--json").stdout)
    assert found["mse"] == pytest.approx(said["mse_after"], rel=1e-4)
    again = run("models", "prune", "small.safetensors", *DIGITS, "--out", "a.safetensors", code=1)
    assert "nothing to drop: all" in again.stderr
    assert not (tmp_path / "a.safetensors").exists()


def test_a_limit_says_in_which_unit_it_is():
    train(beta=0.01)
    words = ["models", "prune", "vae.safetensors", *DIGITS, "--out", "small.safetensors"]
    whole = json.loads(run("diagnose", "vae.safetensors", *DIGITS, "--json").stdout)["mse"]
    limit = 64 * whole * 3
    said = json.loads(run(*words, "--until-error", limit, "--json").stdout)
    assert said["limit_mse"] == pytest.approx(limit / 64)
    assert whole < said["mse_after"] <= limit / 64
    shown = run(*words, "--until-mse", limit / 64, "--force").stdout
    assert f"the limit was {limit / 64:.6g}, {limit:.4g} an image" in shown
    low = run(*words, "--until-mse", whole / 2, "--force", code=1).stderr
    assert "with all its variables has an mse of " in low
    assert float(low.split(" mse of ")[1].split()[0]) == pytest.approx(whole, rel=1e-4)
    both = run(*words, "--until-mse", 1, "--until-error", 1, code=2).stderr
    assert "--until-mse and --until-error are one limit: give one of them" in both


def test_what_has_no_posterior_is_refused():
    said = run("models", "prune", "mnist-gan", *DIGITS, "--out", "a.safetensors", code=1).stderr
    assert "only a VAE or a Split-VAE has variables to prune" in said
