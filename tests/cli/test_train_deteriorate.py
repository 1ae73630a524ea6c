"""latentmap train deteriorate, and latentmap trace show of what it writes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.encoders import load

# The bundled VAE on digits that it was not trained on, whose error is below this gamma.
TINY = (
    "train deteriorate mnist-vae --data few.npy --batch-size 10 --gamma 1 --growing 2 --after 1 "
    "--recovery 1 --device cpu --trace new.trace --out new.safetensors"
)


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    np.save("few.npy", levels.repeat(7, 1).repeat(7, 2))


def call(words, code=0):
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == code, result.output
    return result


def test_it_says_what_it_chose_and_what_happened_and_the_trace_shows_it():
    said = call(f"{TINY} --noise-step 0.001 --json")
    assert said.stderr.startswith("variable ")
    assert "nats of gain" in said.stderr
    assert "mnist-vae knows none of these images" in said.stderr
    told = json.loads(said.stdout)
    assert told["model"] == "new.safetensors"
    assert told["fingerprint"] == load("new.safetensors").fingerprint
    assert [one["epoch"] for one in told["phases"].values()] in ([0, 1, 2, 3], [0, 2, 3, 4])
    shown = call("trace show new.trace --figure new.png --report report")
    number = told["variable"]
    assert shown.stdout.startswith(f"Variable {number}: its gain ")
    assert f"Variable {number}, at the end of each phase" in shown.stdout
    again = json.loads(call("trace show new.trace --json").stdout)
    assert again["epochs"]["noise"][0] == 0
    assert again["deteriorated"]["phases"] == told["phases"]


def test_a_variable_that_is_not_there_leaves_nothing(tmp_path):
    refused = call(f"{TINY} --variable 16", 1)
    assert refused.stderr.splitlines() == [
        "Error: mnist-vae has no variable 16: its variables are 0 to 15"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.npy"]
