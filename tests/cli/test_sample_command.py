"""latentmap sample, run as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.cli.sample import NOISE_MODES, SPACE_KINDS
from latentmap.codes import read_codes
from latentmap.encoders import build, load, stylegan
from latentmap.encoders.native import save_model
from latentmap.images import open_images
from latentmap.model import generated

CONFIG = {
    "image_shape": [3, 16, 16],
    "latent_dim": 12,
    "z_dim": 10,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "channels": [8, 8, 4],
    "mapping_layers": 2,
    "mapping_multiplier": 0.01,
    "architecture": "skip",
    "conv_clamp": None,
}
MODEL = "gan.safetensors"


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_model(build("stylegan2", CONFIG), tmp_path / MODEL, training={})
    classes = CONFIG | {"c_dim": 3, "label": "embed", "embed_dim": 4}
    save_model(build("stylegan2", classes), tmp_path / "classes.safetensors", training={})
    vae = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [8]}
    save_model(build("vae", vae), tmp_path / "vae.safetensors", training={})
    return tmp_path


def run(*words, code=0):
    result = CliRunner().invoke(main, ["sample", *map(str, words), "--device", "cpu"])
    assert result.exit_code == code, result.output
    return result


def refusal(*words) -> str:
    lines = run(*words, code=1).stderr.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_grid_shows_what_the_codes_decode_to():
    result = run(MODEL, "-n", "5", "--seed", "3", "--figure", "grid.png", "--codes-out", "codes.h5")
    assert "codes.h5: 5 codes in w of gan" in result.stdout
    assert "grid.png: 5 images of gan in" in result.stdout
    # Three columns and two rows of 16 pixels, six times as large, with 4 pixels between them.
    picture = np.asarray(Image.open("grid.png"))
    assert picture.shape == (2 * 100 - 4, 3 * 100 - 4, 3)
    model = load(MODEL)
    codes = read_codes(Path("codes.h5"), space=model.space)
    torch.testing.assert_close(codes.vectors, model.sample(5, seed=3))
    expected = (model.decode(codes) * 255).round().to(torch.uint8)
    assert np.array_equal(picture[3:96:6, 100 + 3 : 196 : 6], expected[1].permute(1, 2, 0).numpy())


def test_images_are_kept_with_their_codes_for_other_commands():
    assert (
        "i.h5: 5 images of gan with their codes"
        in run(MODEL, "-n", "5", "--seed", "3", "--truncation", "0.5", "--out", "i.h5").stdout
    )
    model, images = load(MODEL), open_images("i.h5")
    codes = images.codes_in(model.space)
    assert codes is not None
    torch.testing.assert_close(codes.vectors, model.sample(5, seed=3, truncation=0.5))
    decoded = (model.decode(codes) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert all(np.array_equal(images.read(i), decoded[i]) for i in range(5))
    assert not list(Path().glob("*.parts"))


def test_images_of_other_codes_are_not_taken_for_those_that_a_stopped_run_left(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generated, "new_pack", stop)
        run(MODEL, "-n", "2", "--out", "i.h5", code=130)
    assert len(list(Path().glob("i.*.parts"))) == 1
    run(MODEL, "-n", "2", "--seed", "9", "--out", "i.h5")
    model, images = load(MODEL), open_images("i.h5")
    decoded = (model.decode(model.sample(2, seed=9)) * 255).round().to(torch.uint8)
    assert np.array_equal(images.read(1), decoded[1].permute(1, 2, 0).numpy())


def test_codes_and_images_do_not_go_into_one_file():
    refused = refusal(MODEL, "--codes-out", "a.h5", "--out", "a.h5", "--force")
    assert "--out and --codes-out are both a.h5" in refused
    assert not Path("a.h5").exists()


def test_images_cannot_be_kept_that_cannot_be_made_again():
    for words in (("--out", "i.png"), ("--out", "i.h5", "--noise", "random")):
        assert "--out writes a pack, with the suffix .h5" in run(MODEL, *words, code=2).stderr


def test_codes_give_the_same_picture_again():
    run(MODEL, "-n", "4", "--truncation", "0.5", "--figure", "one.png", "--codes-out", "codes.npz")
    run(MODEL, "--codes", "codes.npz", "--figure", "two.png")
    run(MODEL, "--codes", "codes.npz", "--noise", "random", "--seed", "5", "--figure", "noisy.png")
    assert np.array_equal(np.asarray(Image.open("one.png")), np.asarray(Image.open("two.png")))


@pytest.mark.parametrize("space", SPACE_KINDS)
def test_codes_of_one_space_are_refused_in_the_others(space):
    run(MODEL, "-n", "2", "--space", space, "--codes-out", "codes.h5")
    run(MODEL, "--space", space, "--codes", "codes.h5", "--figure", "right.png")
    for other in set(SPACE_KINDS) - {space}:
        line = refusal(MODEL, "--space", other, "--codes", "codes.h5", "--figure", "wrong.png")
        assert f"must be in {other} of gan" in line
        assert f"choose the space {space} of this model" in line
    with pytest.raises(FileNotFoundError):
        Image.open("wrong.png")


def test_mixed_codes_are_in_w_plus():
    options = ["-n", "2", "--mix-from", "2", "--truncation", "0.7", "--truncation-cutoff", "3"]
    found = json.loads(run(MODEL, *options, "--codes-out", "codes.h5", "--json").stdout)
    assert found == {"model": MODEL, "space": "w+", "n": 2, "codes": "codes.h5"}
    run(MODEL, "--space", "w+", "--codes", "codes.h5", "--figure", "mixed.png")


def test_json_tells_the_picture_and_the_time():
    found = json.loads(run(MODEL, "-n", "2", "--figure", "grid.png", "--json").stdout)
    assert found["picture"] == "grid.png"
    assert found["seconds"] > 0


def test_noise_and_precision_change_the_picture():
    pictures = []
    for options in ([], ["--noise", "none"], ["--noise", "random"], ["--precision", "bfloat16"]):
        run(MODEL, "-n", "1", *options, "--figure", "grid.png", "--force")
        pictures.append(np.asarray(Image.open("grid.png")).astype(int))
    # A fresh network's noise has no strength.
    assert np.array_equal(pictures[0], pictures[1])
    assert 0 < np.abs(pictures[0] - pictures[3]).max() < 30


def test_a_class_is_given_where_there_are_classes():
    assert "--class" in refusal("classes.safetensors", "-n", "1", "--figure", "grid.png")
    run("classes.safetensors", "-n", "1", "--class", "2", "--figure", "grid.png")
    assert "no class 3" in refusal("classes.safetensors", "--class", "3", "--figure", "other.png")


def test_a_vae_is_sampled_too():
    run("vae.safetensors", "-n", "3", "--truncation", "0.5", "--figure", "grid.png")
    line = refusal("vae.safetensors", "--space", "z", "--noise", "none", "--figure", "other.png")
    assert "only a StyleGAN has a choice of space and noise" in line


def test_an_output_that_exists_stays(workdir):
    (workdir / "grid.png").write_bytes(b"precious")
    assert "exists" in refusal(MODEL, "--figure", "grid.png")
    assert (workdir / "grid.png").read_bytes() == b"precious"
    assert "must end in .npz, .npy, .h5, .hdf5 or .parquet" in refusal(
        MODEL, "--codes-out", "codes.txt"
    )
    assert "must end in .pdf, .svg" in refusal(MODEL, "--figure", "grid.doc")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([MODEL], "say what to write"),
        *(
            (
                [MODEL, "--codes", "c.h5", option, value, "--figure", "g.png"],
                f"{option}{other} has no",
            )
            for option, other, value in (
                ("-n", "/--samples", "3"),
                ("--truncation", "", "1"),
                ("--truncation-cutoff", "", "1"),
                ("--mix-from", "", "1"),
                ("--seed", "", "0"),
            )
        ),
        ([MODEL, "--codes-out", "c.h5", "--batch-size", "3"], "--batch-size has no effect without"),
        ([MODEL, "--out", "i.h5", "--batch-size", "3"], "--batch-size has no effect with"),
        ([MODEL, "--codes-out", "c.h5", "--noise", "none"], "--noise has no effect without --out"),
        ([MODEL, "--mix-from", "1", "--space", "w", "--figure", "g.png"], "a code of its own"),
        ([MODEL, "-n", "0", "--figure", "g.png"], "not in the range"),
        ([MODEL, "--truncation", "nan", "--figure", "g.png"], "nan is no finite number"),
        ([MODEL, "--truncation", "inf", "--figure", "g.png"], "inf is no finite number"),
    ],
)
def test_wrong_usage(words, message):
    assert message in run(*words, code=2).stderr


def test_the_choices_are_those_of_the_library():
    assert SPACE_KINDS == stylegan.SPACE_KINDS
    assert NOISE_MODES == stylegan.NOISE_MODES
