"""latentmap invert, run as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.cli.search_options import METHODS
from latentmap.codes import read_codes
from latentmap.encoders import build, load
from latentmap.encoders.native import save_model
from latentmap.images import open_images
from latentmap.inversion.inverting import INVERSION_METHODS

GAN = {"image_shape": [1, 8, 8], "latent_dim": 4, "base": 6, "widths": [4, 4], "norm": "batch"}
SEARCH = ("--steps", "20", "--starts", "2")
FAST = (*SEARCH, "--limit", "3")


@pytest.fixture(autouse=True)
def models(workdir):
    torch.manual_seed(0)
    save_model(build("gan", GAN), workdir / "gan.safetensors", training={})


def run(*words, code=0):
    result = CliRunner().invoke(main, ["invert", *map(str, words), "--device", "cpu"])
    assert result.exit_code == code, result.output
    return result


def test_the_methods_are_those_of_the_library():
    assert METHODS == INVERSION_METHODS


def test_codes_are_written_with_their_ids_and_what_made_them():
    result = run("gan.safetensors", "--data", "few.npy", *FAST, "--codes-out", "codes.h5")
    assert "3 images in z of gan" in result.stdout
    assert "wrote codes.h5" in result.stdout
    model = load("gan.safetensors")
    codes = read_codes(Path("codes.h5"), space=model.space)
    images = open_images("few.npy", limit=3)
    assert codes.ids.tolist() == images.ids.tolist()
    assert codes.data == images.fingerprint


def test_json_gives_every_image_and_the_errors_of_the_codes():
    words = ("gan.safetensors", "--data", "few.npy", *FAST, "--seed", "5", "--json")
    found = json.loads(run(*words, "--codes-out", "codes.npz").stdout)
    assert found["method"] == "search"
    assert found["seed"] == 5
    assert found["settings"]["steps"] == 20
    assert found["codes"] == "codes.npz"
    model, images = load("gan.safetensors"), open_images("few.npy", limit=3)
    assert [entry["id"] for entry in found["images"]] == images.ids.tolist()
    codes = read_codes(Path("codes.npz"), space=model.space)
    pixels = np.stack([images.read(i)[:, :, 0] for i in range(3)]) / 255
    errors = ((model.decode(codes)[:, 0].numpy() - pixels) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose([entry["mse"] for entry in found["images"]], errors, rtol=1e-4)
    assert found["mse"] == pytest.approx(errors.mean(), rel=1e-4)
    again = json.loads(run(*words).stdout)
    assert again["images"] == found["images"]


def test_codes_are_held_inside_the_range_unless_they_may_go_anywhere():
    words = ("gan.safetensors", "--data", "few.npy", *FAST)
    inside = json.loads(run(*words, "--json").stdout)
    anywhere = json.loads(run(*words, "--anywhere", "--json").stdout)
    assert inside["settings"]["inside"] and not anywhere["settings"]["inside"]
    limit = inside["distance_limit"]
    assert limit == pytest.approx(4.297, abs=1e-3)  # The standard normal of four variables.
    assert max(image["distance"] for image in inside["images"]) <= limit
    assert "99.9 % of samples" in run(*words).stdout
    refused = run(*words[:3], "--method", "network", "--anywhere", code=2)
    assert "--anywhere has no effect with --method network" in refused.output


def test_a_picture_shows_images_over_their_reconstructions():
    run("a.safetensors", "--data", "few.npy", "--limit", "5", "--method", "network", "-n", "2",
        "--figure", "grid.png")  # fmt: skip
    picture = np.asarray(Image.open("grid.png"))
    # Two rows and two columns of 8 pixels, twelve times as large, beside the labels.
    assert picture.shape[0] == 2 * 96 + 4
    shown = picture[6:96:12, -(96 + 4 + 96) + 6 : -(96 + 4) : 12, 0]
    assert np.array_equal(shown, open_images("few.npy").read(0)[:, :, 0])


def invert_by(method):
    search = () if method == "network" else SEARCH
    words = ("--data", "few.npy", "--limit", "3", *search, "--method", method, "--json")
    return json.loads(run("a.safetensors", *words).stdout)


@pytest.mark.parametrize("method", METHODS)
def test_an_encoder_can_be_used_searched_or_both(method):
    found = invert_by(method)
    assert found["method"] == method
    assert (found["settings"] is None) == (method == "network")


def test_a_search_comes_nearer_than_the_encoder():
    errors = {method: invert_by(method)["mse"] for method in METHODS}
    assert errors["hybrid"] < errors["network"]
    assert errors["search"] < errors["network"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--method", "network"), 1, "gan (gan) has no encoder for the method network: use sear"),
        (("--space", "w"), 1, "only a StyleGAN has a choice of space"),
        (("--steps", "0"), 2, "0 is not in the range x>=1"),
        (("--perceptual", "nan"), 2, "nan is no finite number"),
        (("--prior", "inf"), 2, "inf is no finite number"),
        (("-n", "3"), 2, "-n/--images has no effect without --figure: leave it out"),
        (("-n", "3", "--report", "r"), 2, "-n/--images has no effect without --figure"),
        *(
            (("--method", "network", *option), 2, f"{option[0]} has no effect with --method netw")
            for option in zip(
                ("--steps", "--starts", "--perceptual", "--prior"), "3310", strict=True
            )
        ),
        (("--codes-out", "codes.txt"), 1, "must end in .npz, .npy, .h5, .hdf5 or .parquet"),
        (("--figure", "grid.txt"), 1, "must end in .pdf, .svg"),
        (("--codes-out", "few.npz"), 1, "exists"),
        (("--figure", "x.png", "--report", "x.png"), 1, "--figure and --report are both x.png"),
    ],
)
def test_bad_input_is_refused_before_any_work(words, code, message):
    Path("few.npz").write_bytes(b"")
    # There are no such images, which is said only when they are opened.
    result = run("gan.safetensors", "--data", "missing.npy", *words, code=code)
    assert message in result.stderr


def test_a_file_is_replaced_only_by_force():
    words = ("a.safetensors", "--data", "few.npy", *FAST, "--codes-out", "codes.h5")
    run(*words)
    assert "codes.h5" in run(*words, code=1).stderr
    run(*words, "--force")


def test_images_that_cannot_be_read_are_skipped_and_named():
    Path("FOLDER").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("FOLDER/good.png")
    Path("FOLDER/bad.png").write_bytes(b"no image")
    words = ("gan.safetensors", "--data", "FOLDER", "--steps", "5", "--starts", "1")
    assert "bad.png" in run(*words, code=1).stderr
    result = run(*words, "--on-error", "skip")
    assert "skipped 1 images that could not be read: bad.png" in result.stderr


def test_a_search_starts_from_samples_of_a_class(conditional):
    words = (conditional, "--data", "few.npy", *FAST)
    assert "choose one of its classes, 0 to 2, with --class" in run(*words, code=1).stderr
    assert "there is no class 3" in run(*words, "--class", "3", code=1).stderr
    first, second = (run(*words, "--class", label, "--json").stdout for label in (1, 2))
    assert json.loads(first)["mse"] != json.loads(second)["mse"]
    bench = ["bench", conditional, "--set", "own:4", *SEARCH, "--device", "cpu"]
    assert CliRunner().invoke(main, [*bench, "--class", "1"]).exit_code == 0
    refused = CliRunner().invoke(main, bench)
    assert refused.exit_code == 1 and "with --class" in refused.stderr


def test_the_arithmetic_of_a_stylegan_can_be_chosen(conditional):
    words = (conditional, "--data", "few.npy", *FAST, "--class", "1", "--json")
    plain, half = (
        json.loads(run(*words, *more).stdout) for more in ((), ("--precision", "bfloat16"))
    )
    assert half["mse"] != plain["mse"]
    assert half["mse"] == pytest.approx(plain["mse"], rel=0.1)
    refused = run("gan.safetensors", "--data", "few.npy", *FAST, "--precision", "bfloat16", code=1)
    assert "only a StyleGAN has a choice of precision" in refused.stderr
