"""latentmap train gan, run as a user runs it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.cli.train_gan import gan
from latentmap.encoders import load
from latentmap.encoders.native import read_header
from latentmap.encoders.nets.dcgan import NORMS

DIGITS = ["--data", "digits", "--limit", "60", "--device", "cpu", "--batch-size", "20"]
TINY = ["--base", "6", "--widths", "4,4", "--discriminator-widths", "4,4", "--latent-dim", "3"]
OUT = "gan.safetensors"


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*words, code=0):
    words = ["train", "gan", *DIGITS, *TINY, "--out", OUT, *map(str, words)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result


def test_training_leaves_a_generator_that_says_how_it_was_made():
    result = json.loads(train("--epochs", 2, "--seed", 4, "--json").stdout)
    header = read_header(OUT)
    assert (result["model"], result["fingerprint"]) == (OUT, header.fingerprint)
    assert result["figures"] == header.training["figures"]
    assert header.config == {
        "image_shape": [1, 8, 8],
        "latent_dim": 3,
        "base": 6,
        "widths": [4, 4],
        "norm": "batch",
    }
    assert (header.training["seed"], header.training["images"]) == (4, 60)
    assert header.training["command"]


def test_a_generator_is_trained_at_the_size_that_is_asked_for_and_sampled():
    train("--steps", 2, "--size", 12, "--norm", "none", "--precision", "bfloat16")
    assert load(OUT).image_shape == (1, 12, 12)
    sampled = CliRunner().invoke(main, ["sample", OUT, "-n", "4", "--figure", "grid.png"])
    assert sampled.exit_code == 0, sampled.output


def test_a_run_can_go_on():
    train("--epochs", 1, "--keep-checkpoint")
    assert train("--epochs", 1, code=1).stderr.startswith(f"Error: {OUT} exists: choose another")
    train("--epochs", 2, "--resume")
    assert "is one with --keep-checkpoint" in train("--epochs", 3, "--resume", code=1).stderr
    assert read_header(OUT).training["figures"]["step"] == 6


def test_a_collapse_is_said_in_one_line(workdir):
    # Images of noise, which a generator of two steps cannot have learned.
    noise = np.random.default_rng(0).integers(0, 2, (40, 8, 8), dtype=np.uint8) * 255
    np.save("noise.npy", noise)
    words = ["train", "gan", "--data", "noise.npy", *TINY, "--out", OUT, "--batch-size", "20"]
    result = CliRunner().invoke(main, [*words, "--steps", "2", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert "the generated images hardly differ (diversity 0." in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--widths", "16,x"], "'16,x' is no list of widths"),
        (["--discriminator-widths", "0"], "'0' is no list of widths"),
        (["--batch-size", "1"], "1 is not in the range"),
        (["--momentum", "1"], "1.0 is not in the range"),
        (["--norm", "layer"], "'layer' is not one of"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_writes_nothing(workdir, words, message):
    assert message in train(*words, code=2).stderr
    assert not any(workdir.iterdir())


def test_fewer_images_than_a_batch_are_one_clear_line():
    lines = train("--batch-size", 61, code=1).stderr.splitlines()
    assert lines == [
        "Error: training needs at least one batch of 61 images, not 60: lower the batch size"
    ]


def test_the_choices_are_those_of_the_library():
    norm = next(parameter for parameter in gan.params if parameter.name == "norm")
    assert tuple(norm.type.choices) == NORMS
