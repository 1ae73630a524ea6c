"""``latentmap diagnose --plane``: the picture, the figures, and what is refused before any work."""

import json

import pytest
import torch
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.encoders import build
from latentmap.encoders.native import save_model


@pytest.fixture
def diagnose(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for d in (1, 2):
            config = {"architecture": "dense", "image_shape": [1, 8, 8], "widths": [4]}
            vae = build("vae", {**config, "latent_dim": d})
            save_model(vae, tmp_path / f"{d}.safetensors", training={})

    def call(model, *words):
        data = ("--data", "digits", "--limit", "40")
        return CliRunner().invoke(main, ["diagnose", f"{model}.safetensors", *data, *words])

    return call


def test_a_plane_is_drawn_and_told(diagnose, tmp_path):
    result = diagnose(2, "--plane", "plane.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "plane.png").is_file()
    assert "Energy distances" in result.stdout
    result = diagnose(2, "--plane", "plane.png", "--json")
    assert result.exit_code == 1
    assert "--force" in result.output
    result = diagnose(2, "--plane", "plane.png", "--json", "--force", "--encoder", "1.safetensors")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["plane_variables"] == [0, 1]
    assert found["plane_labels"] == [str(i) for i in range(10)]
    assert found["energy_images_in"] == "codes of 1"
    assert found["energy_codes_low"] <= found["energy_codes"] <= found["energy_codes_high"]


def test_a_table_gives_the_labels(diagnose, tmp_path):
    rows = "".join(f"{i},{'odd' if i % 2 else 'even'}\n" for i in range(40))
    (tmp_path / "labels.csv").write_text("image,kind\n" + rows)
    words = ("--plane", "plane.png", "--json", "--labels", "labels.csv")
    assert json.loads(diagnose(2, *words).stdout)["plane_labels"] == ["even", "odd"]


@pytest.mark.parametrize(
    ("model", "words", "code", "message"),
    [
        (1, "--plane plane.png", 1, "one latent variable, and a plane needs two"),
        (2, "--plane plane.txt", 1, "must end in .pdf, .svg"),
        (2, "--encoder 1.safetensors", 2, "are for --plane:"),
        (2, "--plane plane.png --labels digits.csv", 1, "cannot be read"),
        (2, "--plane plane.png --limit 9", 1, "at least 10 images"),
    ],
)
def test_what_cannot_be_drawn_is_refused(diagnose, tmp_path, model, words, code, message):
    result = diagnose(model, *words.split())
    assert result.exit_code == code
    assert message in result.output
    assert not list(tmp_path.glob("plane.*"))


def test_without_a_plane_nothing_of_it_is_told(diagnose):
    result = diagnose(1, "--json")
    assert result.exit_code == 0, result.output
    assert not any(key.startswith(("plane", "energy")) for key in json.loads(result.stdout))
