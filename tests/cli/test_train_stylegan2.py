"""latentmap train stylegan2, run as a user runs it."""

import inspect
import json

import pytest
from click.testing import CliRunner

from latentmap.cli.train_stylegan2 import AUGMENTATIONS, stylegan2
from latentmap.encoders import load
from latentmap.encoders.native import read_header
from latentmap.encoders.training import augmentation
from latentmap.encoders.training.train_stylegan2 import StyleGAN2Settings
from latentmap.errors import ModelError

DIGITS = ["--data", "digits", "--limit", "20"]
TINY = ["--width", "2", "--max-width", "4", "--latent-dim", "3", "--batch-size", "4", "--steps"]


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*words, code=0, out="gan.safetensors"):
    words = [*DIGITS, *words, "--device", "cpu", "--out", out]
    result = CliRunner().invoke(stylegan2, list(map(str, words)))
    assert result.exit_code == code, result.output
    return result


def test_training_leaves_a_generator_that_says_how_it_was_made():
    result = train(*TINY, "2", "--augmentations", "flip,color", "--augment", "0.5", "--json")
    header = read_header("gan.safetensors")
    assert json.loads(result.stdout)["fingerprint"] == header.fingerprint
    assert (header.config["channels"], header.config["latent_dim"]) == ([4, 2], 3)
    assert header.training["augmentations"] == ["flip", "color"]
    assert header.training["figures"]["augment"] == 0.5
    assert header.training["command"]
    model = load("gan.safetensors")
    assert (model.family, model.image_shape, model.space.kind) == ("stylegan2", (1, 8, 8), "w")


def test_images_are_brought_to_the_size_that_is_asked_for_and_a_run_goes_on():
    words = ["--size", "16", "--augmentations", "none", "--frame", "0,0,1,0.5"]
    train(*TINY, "1", *words, "--keep-checkpoint")
    assert "log and pictures in gan.safetensors.training" in train(*TINY, "2", *words,
                                                                   "--resume").stdout  # fmt: skip
    model = load("gan.safetensors")
    assert (model.image_shape, model.frame.name) == ((1, 16, 16), "0,0,1,0.5")
    assert read_header("gan.safetensors").training["figures"]["step"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--augmentations", "flip,blur"], "unknown augmentation 'blur': choose among flip,"),
        (["--augment", "2"], "2.0 is not in the range"),
        (["--batch-size", "2"], "2 is not in the range"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_writes_nothing(workdir, words, message):
    assert message in train(*words, code=2).stderr
    assert not any(workdir.iterdir())


def test_sizes_and_batches_that_do_not_fit_are_one_clear_line(workdir):
    for words, message in (
        (["--size", "28"], "square images of 8, 16, 32, 64, ... pixels, not 28x28: give --size 32"),
        (["--batch-size", "10"], "must be a multiple of it, not 10"),
        (["--batch-size", "24"], "at least one batch of 24 images, not 20"),
    ):
        error = train(*words, code=1).exception
        assert isinstance(error, ModelError)
        assert message in str(error)
        assert "\n" not in str(error)
        assert not (workdir / "gan.safetensors").exists()


def test_the_defaults_and_names_are_the_library_s():
    assert tuple(augmentation.AUGMENTATIONS) == AUGMENTATIONS
    parameters = inspect.signature(StyleGAN2Settings).parameters
    given = stylegan2.make_context("stylegan2", ["--data", "x", "--out", "y"]).params
    for name in set(parameters) - {"image_shape"}:
        assert given[name] == parameters[name].default, name
