"""latentmap train inversion, run as a user runs it."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.cli.train_inversion import ARCHITECTURES, NOISES, SCHEDULES
from latentmap.encoders import build, load
from latentmap.encoders.native import read_header, save_model
from latentmap.encoders.nets import inversion as nets
from latentmap.encoders.training import inversion as recipes
from latentmap.images import open_images

CONFIG = {
    "image_shape": [3, 8, 8],
    "latent_dim": 6,
    "z_dim": 5,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "channels": [8, 4],
    "mapping_layers": 2,
    "mapping_multiplier": 0.01,
    "architecture": "skip",
    "conv_clamp": None,
}
TINY = ["--width", "4", "--steps", "3", "--batch-size", "4", "--held-out", "10"]


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(build("stylegan2", CONFIG), tmp_path / "gan.safetensors", training={})
        classes = CONFIG | {"c_dim": 3, "label": "embed", "embed_dim": 4}
        save_model(build("stylegan2", classes), tmp_path / "classes.safetensors", training={})
        vae = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [8]}
        save_model(build("vae", vae), tmp_path / "vae.safetensors", training={})
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    np.save(tmp_path / "real.npy", pixels)
    return tmp_path


def run(*words, generator="gan.safetensors", out="pair.safetensors", code=0):
    command = ["train", "inversion", "--generator", generator, "--out", out, "--device", "cpu"]
    result = CliRunner().invoke(main, [*command, *TINY, *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def refusal(*words, **files) -> str:
    lines = run(*words, code=1, **files).stderr.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_the_choices_are_those_of_the_library():
    assert ARCHITECTURES == nets.ARCHITECTURES
    assert SCHEDULES == recipes.SCHEDULES
    assert NOISES == recipes.NOISES


def test_a_generator_becomes_a_pair_whose_figures_are_said():
    result = run()
    model = load("pair.safetensors")
    assert model.space.same_as(load("gan.safetensors").space)
    held_out = read_header("pair.safetensors").training["held_out"]
    assert f"codes   R2 {held_out['code_r2']:.4f}" in result.stdout
    assert f"images  mse {held_out['image_mse']:.5f}" in result.stdout
    assert "(10 generated images)" in result.stdout and "real" not in result.stdout


def test_real_images_are_measured():
    result = run("--data", "real.npy", "--limit", "4")
    real = read_header("pair.safetensors").training["real"]
    said = f"real    mse {real['image_mse']:.5f}, {real['ratio']:.1f} times as much  (4 images, "
    assert said in result.stdout


def test_json_has_all_figures():
    found = json.loads(run("--data", "real.npy", "--json").stdout)
    training = read_header("pair.safetensors").training
    assert (found["held_out"], found["real"]) == (training["held_out"], training["real"])
    assert (found["model"], found["space"]) == ("pair.safetensors", "w")
    assert found["fingerprint"] == load("pair.safetensors").fingerprint
    assert json.loads(run("--json", "--force").stdout)["real"] is None


def test_options_reach_the_training():
    run("--space", "z", "--box", "0,0,0.5,1", "--architecture", "plain", "--image-weight", "0.5",
        "--learning-rate", "0.01", "--schedule", "one-cycle", "--noise", "const",
        "--seed", "4")  # fmt: skip
    model, training = load("pair.safetensors"), read_header("pair.safetensors").training
    assert (model.space.kind, model.image_shape) == ("z", (3, 4, 8))
    assert (training["architecture"], training["image_weight"]) == ("plain", 0.5)
    assert (training["learning_rate"], training["schedule"]) == (0.01, "one-cycle")
    assert (training["seed"], training["view"]) == (4, "0,0,0.5,1")
    assert training["noise"] == "const"


def test_a_network_learns_from_real_images_and_those_of_the_test_are_measured():
    np.save("more.npy", np.random.default_rng(1).integers(0, 256, (60, 8, 8, 3), np.uint8))
    images = open_images("more.npy")
    run("--data", "more.npy", "--real-weight", "5")
    training = read_header("pair.safetensors").training
    assert training["domain"] == images.split("train").fingerprint
    assert training["real"]["data"] == images.split("test").fingerprint
    assert training["figures"]["real_mse"] > 0
    run("--data", "more.npy", "--real-weight", "5", "--split", "val", "--force")
    training = read_header("pair.safetensors").training
    assert training["domain"] == images.split("val").fingerprint


@pytest.mark.parametrize("words", [[], ["--data", "real.npy", "--split", "test"]])
def test_images_to_learn_from_are_given_and_are_not_those_of_the_test(words):
    said = run("--real-weight", "5", *words, code=2).stderr
    assert "give --data, and no --split test" in said


def test_the_network_of_a_pair_is_refined():
    run()
    run("--refine", generator="pair.safetensors", out="finer.safetensors")
    training = read_header("finer.safetensors").training
    assert training["refined"] == load("pair.safetensors").fingerprint
    assert "has no inversion network" in refusal("--refine", out="other.safetensors")


def test_a_class_is_given_where_there_are_classes():
    assert "--class" in refusal(generator="classes.safetensors")
    run("--class", "2", generator="classes.safetensors")
    assert load("pair.safetensors").rendering["label"] == 2


def test_the_generator_of_a_pair_gets_another_network():
    run()
    run("--architecture", "plain", generator="pair.safetensors", out="other.safetensors")
    assert load("other.safetensors").space.same_as(load("gan.safetensors").space)


def test_a_run_goes_on_only_as_it_began():
    run()
    assert "pair.safetensors exists" in refusal()
    assert "no checkpoint file" in refusal("--resume", out="other.safetensors")
    assert "seed was 0, not 1" in refusal("--resume", "--seed", "1")
    assert "generator was" in refusal("--resume", generator="vae.safetensors")
    run("--resume")


def test_what_does_not_fit_is_one_line():
    assert "is not inside the picture" in refusal("--box", "0,0,2,1")
    assert "only a StyleGAN has a choice" in refusal("--space", "w", generator="vae.safetensors")
    assert "there is no model file" in refusal(generator="none.safetensors")
    assert "none.npy does not exist" in refusal("--data", "none.npy")
