"""latentmap models normalise, and what training and sampling say of the prior."""

import json

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.encoders.native import read_header

DIGITS = ["--data", "digits", "--limit", "200"]
TINY = ["--architecture", "dense", "--widths", "16", "--latent-dim", "3", "--batch-size", "20"]


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def train(*words, out="vae.safetensors"):
    words = ["--epochs", "20", "--learning-rate", "0.01", *words]
    return run("train", "vae", *DIGITS, *TINY, *words, "--device", "cpu", "--out", out)


def normalise(*words, code=0):
    return run("models", "normalise", *words, "--device", "cpu", code=code)


def test_what_training_left_off_the_law_is_brought_to_it_later():
    train("--no-normalise")
    train(out="normalised.safetensors")
    result = normalise("vae.safetensors", *DIGITS, "--out", "new.safetensors")
    assert result.stderr.startswith("next: ")
    assert result.stdout.startswith("new.safetensors: vae ")
    assert "|mean s2 + Var - 1|, mean" in result.stdout
    assert "largest difference of a pixel" in result.stdout
    # The same as in the training, where the images come in the same order.
    assert read_header("new.safetensors").fingerprint == (
        read_header("normalised.safetensors").fingerprint
    )
    before, after = (
        json.loads(run("diagnose", file, *DIGITS, "--json").stdout)
        for file in ("vae.safetensors", "new.safetensors")
    )
    assert after["law_deviation_max"] < 1e-5 < before["law_deviation_max"]
    assert after["kl"] < before["kl"]
    assert after["mse"] == pytest.approx(before["mse"], rel=1e-4)


def test_json_has_the_figures_before_and_after():
    train("--no-normalise")
    words = [*DIGITS, "--out", "new.safetensors", "--json"]
    said = json.loads(normalise("vae.safetensors", *words).stdout)
    assert said["fingerprint"] == read_header("new.safetensors").fingerprint
    assert said["own_images"] is True
    assert said["before"]["divergence"] > said["after"]["divergence"]
    assert said["after"]["n"] == 200


def test_other_images_than_those_of_the_training_are_told():
    train("--no-normalise")
    words = ["--data", "digits", "--limit", "100", "--out", "new.safetensors"]
    said = normalise("vae.safetensors", *words).stderr
    assert "these 100 images are not exactly those that vae.safetensors was trained on" in said


def test_what_is_no_vae_is_refused(workdir):
    result = normalise("mnist-gan", *DIGITS, "--out", "new.safetensors", code=1)
    assert "only a VAE or a Split-VAE has posteriors" in result.stderr
    assert not (workdir / "new.safetensors").exists()


def test_sampling_says_how_far_the_prior_is_from_the_codes():
    train("--no-normalise", "--beta", "0.01")
    words = ["-n", "4", "--figure", "grid.png", "--device", "cpu", "--force"]
    said = run("sample", "vae.safetensors", *words).stderr
    assert "the prior of vae.safetensors is at least" in said
    assert "`latentmap models normalise` takes" in said
    normalise("vae.safetensors", *DIGITS, "--out", "new.safetensors")
    assert "normalise" not in run("sample", "new.safetensors", *words).stderr
