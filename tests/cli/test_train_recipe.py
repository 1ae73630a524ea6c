"""latentmap train recipe, run as a user runs it."""

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.cli.train import train
from latentmap.encoders import load
from latentmap.encoders.bundled import bundled_models
from latentmap.encoders.native import read_header
from latentmap.encoders.recipes import TRAININGS, bundled_recipes, read_recipe
from latentmap.errors import ModelError
from latentmap.images import open_images

GAN = "--base 8 --widths 8,4 --discriminator-widths 4,8 --batch-size 20 --epochs 1 --latent-dim 4"


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digits = open_images("digits", limit=160)
    np.save("digits.npy", np.stack([digits.read(i) for i in range(160)]))
    return tmp_path


def write(name="tiny", **changes):
    said = {
        "about": "A GAN of digits.",
        "data": "digits.npy",
        "terms": "Free.",
        "options": "--split train",
        "steps": [f"gan {GAN}", "inversion --width 4 --steps 3 --held-out 8 --batch-size 8"],
        "test_split": "test",
        "defects": "All.",
        **changes,
    }
    Path(f"{name}.json").write_text(json.dumps(said))


def run(*words, code=0):
    words = ["train", "--recipe", *words, "--data", "digits.npy", "--device", "cpu"]
    result = CliRunner().invoke(main, [*words, "--out", "made.safetensors"])
    assert result.exit_code == code, result.output
    return result


def test_a_recipe_makes_a_model_its_card_and_a_picture(workdir):
    write()
    result = run("tiny.json", "--json")
    said = json.loads(result.stdout)
    model = load("made.safetensors")
    assert said["fingerprint"] == model.fingerprint
    assert said["recipe"] == "tiny" and said["batch_size"] == 8
    trained_on = open_images("digits.npy", split="train")
    assert model.seen is not None and len(model.seen) == len(trained_on)
    assert model.seen.contains(trained_on.digests).all()
    value, low, high = said["held_out"]["reconstruction"]
    assert low < value < high
    card = (workdir / "made.md").read_text()
    assert (
        "(made.jpg)" in card and "A GAN of digits." in card and f"latentmap train gan {GAN}" in card
    )
    assert f"{value:.5f} [{low:.5f}, {high:.5f}]" in card
    with Image.open("made.jpg") as picture:
        assert picture.size == (6 * 8 + 5 * 4, 6 * 8 + 5 * 4)
    assert read_header("made-step-1.safetensors").family == "gan"
    assert "latentmap train inversion --width 4" in result.stderr


def test_an_inversion_may_learn_from_the_images_of_the_recipe(workdir):
    learning = "inversion --width 4 --steps 3 --held-out 8 --batch-size 8"
    steps = [f"gan {GAN}", learning, f"{learning} --refine --real-weight 5"]
    write(steps=steps)
    run("tiny.json")
    training = read_header("made-step-3.safetensors").training
    assert training["domain"] == open_images("digits.npy", split="train").fingerprint
    assert training["refined"] == load("made-step-2.safetensors").fingerprint
    assert "domain" not in read_header("made-step-2.safetensors").training
    assert load("made.safetensors").space.kind == "z"


def test_a_recipe_may_have_any_name(workdir):
    write("tiny\udcff")
    run("tiny\udcff.json")
    assert b"tiny\\udcff" in (workdir / "made.md").read_bytes()


def test_the_figures_are_those_of_the_test_images(workdir):
    write()
    run("tiny.json")
    said = read_header("made.safetensors").training["held_out"]
    test = open_images("digits.npy", split="test")
    model = load("made.safetensors")
    (batch,) = test.batches([model.view], batch_size=1000)
    images = batch.floats(0)
    error = (model.decode(model.encode(images)) - images).square().mean()
    assert said["n"] == len(test)
    assert said["reconstruction"][0] == pytest.approx(float(error), rel=1e-5)
    assert said["baseline"][0] == pytest.approx(float(images.var(0, correction=0).mean()), rel=1e-5)


def test_a_recipe_goes_on_where_it_stopped(workdir):
    write()
    run("tiny.json", "--keep-checkpoint")
    first = load("made.safetensors").fingerprint
    step = load("made-step-1.safetensors").fingerprint
    for name in ("made.safetensors", "made.md", "made.jpg"):
        (workdir / name).unlink()
    (workdir / "made-step-2.safetensors").unlink()
    run("tiny.json", "--resume")
    assert load("made.safetensors").fingerprint == first
    assert load("made-step-1.safetensors").fingerprint == step
    left = list(workdir.glob("*.training/*.safetensors"))
    assert len(left) == 2 and all(path.stat().st_size < 4000 for path in left)


@pytest.mark.parametrize("step", [1, 2])
def test_a_finished_step_of_another_recipe_is_not_gone_on_from(step, workdir):
    write()
    run("tiny.json")
    steps = [f"gan {GAN}", "inversion --width 4 --steps 3 --held-out 8 --batch-size 8"]
    steps[step - 1] += " --seed 9"
    write(steps=steps)
    refused = run("tiny.json", "--resume", "--force", code=1).stderr
    assert f"made-step-{step}.safetensors.training" in refused
    assert "is of a run with other settings" in refused
    run("tiny.json", "--force")
    assert read_header(f"made-step-{step}.safetensors").training["seed"] == 9


@pytest.mark.parametrize("words", [("--recipe", "nix"), ("--recipe=nix",), ("recipe", "nix")])
def test_the_option_and_the_command_are_the_same(words):
    result = CliRunner().invoke(main, ["train", *words, "--data", "digits.npy", "--out", "x"])
    assert "there is no recipe 'nix'" in result.stderr


@pytest.mark.parametrize("words", [(), ("--resume",)])
@pytest.mark.parametrize("name", ["made.safetensors", "made.md", "made.jpg"])
def test_what_exists_is_kept(name, words, workdir):
    write()
    (workdir / name).write_bytes(b"precious")
    assert f"{name} exists" in run("tiny.json", *words, code=1).stderr
    assert [path.name for path in workdir.glob("made*")] == [name]
    assert (workdir / name).read_bytes() == b"precious"


def test_an_interruption_in_a_step_ends_the_whole_and_says_how_to_go_on(workdir, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    write()
    monkeypatch.setattr("latentmap.encoders.training.train_inversion.train_by", stop)
    interrupted = run("tiny.json", code=130)
    assert "Interrupted: what was finished is kept" in interrupted.stderr
    assert not (workdir / "made.safetensors").exists()


def test_a_step_that_is_wrong_usage_says_which_command_it_is(workdir):
    write(steps=[f"gan {GAN} --colour blue", "inversion"])
    refused = run("tiny.json", code=2).stderr
    assert "train gan" in refused and "No such option" in refused


def test_a_wrong_option_of_a_later_step_is_found_before_any_training(workdir):
    write(steps=[f"gan {GAN}", "inversion --widht 4"])
    refused = run("tiny.json", code=2).stderr
    assert "Usage: main train inversion" in refused and "No such option" in refused
    assert not list(workdir.glob("made*"))


@pytest.mark.parametrize("suffix", [".md", ".jpg"])
def test_a_model_is_not_written_where_its_card_goes(suffix, workdir):
    write()
    words = ["train", "recipe", "tiny.json", "--data", "digits.npy", "--out", f"made{suffix}"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert f"are both made{suffix}: give each a path of its own" in result.stderr
    assert not list(workdir.glob("made*"))


def test_an_unknown_recipe_names_the_known_ones(workdir):
    refused = run("nix", code=1).stderr
    assert "there is no recipe 'nix': give a file, or one of gan, mnist-gan" in refused


def test_a_pipe_in_the_place_of_a_recipe_is_named_as_one(tmp_path):
    os.mkfifo(tmp_path / "tiny.json")
    with pytest.raises(ModelError, match=r"cannot be read: it is a pipe, .*; give a file, or one"):
        read_recipe(tmp_path / "tiny.json")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 3}, "steps must be a list of command lines"),
        ({"steps": []}, "the first step must train on images"),
        ({"steps": ["inversion --width 4"]}, "the first step must train on images"),
        ({"steps": ["foo --x 1"]}, "step 1 must begin with one of vae, split-vae, gan"),
        ({"steps": [f"gan {GAN}", ""]}, "step 2 must begin with one of vae, split-vae, gan"),
        ({"steps": [3]}, "3 is no command line"),
        ({"steps": [f"gan {GAN}"]}, "the last step must give a model that encodes"),
        ({"wrong": 1}, "wrong"),
        ({"options": None}, "None is no command line"),
        ({"group_by": 3}, "group_by must be a text, not 3"),
        ({"defects": None}, "defects must be a text, not None"),
        ({"test_split": "half"}, "test_split must be one of train, val, test"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(changes, reason, workdir):
    write(**changes)
    with pytest.raises(ModelError, match=rf"tiny.json is no recipe as it should be \(.*{reason}"):
        read_recipe("tiny.json")


def test_a_step_may_be_every_training_there_is():
    # A deterioration is an experiment on a model that is there.
    assert {*TRAININGS, "recipe", "deteriorate"} == set(train.commands)


@pytest.mark.parametrize("name", bundled_recipes())
def test_every_bundled_recipe_has_steps_that_the_commands_take(name):
    recipe = read_recipe(name)
    for step in recipe.steps:
        arguments = [*step[1:], *(["--generator", "x"] if step[0] == "inversion" else [])]
        if step[0] != "inversion":
            arguments += ["--data", "x", *recipe.options]
        train.commands[step[0]].make_context(step[0], [*arguments, "--out", "x"])


@pytest.mark.parametrize("name", bundled_models())
def test_every_bundled_model_has_its_recipe_and_card(name):
    path = bundled_models()[name]
    recipe = read_recipe(name)
    card = path.with_suffix(".md").read_text()
    assert recipe.defects in card and all(shlex.join(step) in card for step in recipe.steps)
    assert load(name).fingerprint in card
    assert path.with_suffix(".jpg").exists()
