"""latentmap fit --samples and latentmap frames, run as a user runs them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.encoders import build, load
from latentmap.encoders.inverted import add_inversion
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.inversion import InversionNetwork, default_network
from latentmap.frames import Frame
from latentmap.mapping import LinearMap

GAN = {
    "image_shape": [1, 16, 16],
    "latent_dim": 6,
    "z_dim": 5,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "channels": [8, 8, 4],
    "mapping_layers": 2,
    "mapping_multiplier": 0.01,
    "architecture": "skip",
    "conv_clamp": None,
}
VAE = {"architecture": "dense", "image_shape": [1, 16, 16], "latent_dim": 20, "widths": [64]}
FIT = ["fit", "--device", "cpu", "--cache", "codes", "--samples", "80"]


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_model(build("stylegan2", GAN), tmp_path / "gan.safetensors", training={})
    save_model(build("vae", VAE), tmp_path / "vae.safetensors", training={})
    return tmp_path


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("words", [("vae", "gan"), ("gan", "vae")])
def test_a_map_to_or_from_a_generator_needs_no_data(words, workdir):
    src, dst = (f"{name}.safetensors" for name in words)
    out = f"{words[0]}-to-{words[1]}.safetensors"
    result = run(*FIT, "--src", src, "--dst", dst, "--out", out, "--json")
    assert "80 images are made by gan (w, truncation 1), seed 0" in result.stderr
    scores = json.loads(result.stdout)
    assert scores["r2"] > 0.1
    linear_map = LinearMap.load(workdir / out)
    spaces = {linear_map.source.kind, linear_map.target.kind}
    assert spaces == {"z", "w"}
    assert linear_map.n_pairs + scores["n_test"] <= 80


def test_which_model_is_sampled_can_be_chosen(workdir):
    save_model(build("vae", VAE), workdir / "other.safetensors", training={})
    options = ["--src", "vae.safetensors", "--dst", "other.safetensors"]
    assert "made by other" in run(*FIT, *options).stderr
    assert "made by vae" in run(*FIT, *options, "--sample-from", "src", "--force").stderr
    assert len(list((workdir / "codes" / "generated").glob("*.h5"))) == 2


def test_the_other_model_may_see_a_box_of_the_images():
    options = [*FIT, "--src", "vae.safetensors", "--dst", "gan.safetensors", "--json"]
    whole = json.loads(run(*options).stdout)
    part = json.loads(run(*options, "--box", "0,0,0.5,0.5", "--force").stdout)
    assert whole["r_mse"] != part["r_mse"]
    # The target's own images stay as they are.
    assert whole["floor_mse"] == part["floor_mse"]


def test_a_frame_is_estimated_and_used_from_then_on(workdir):
    options = ["frames", "estimate", "--src", "gan.safetensors", "--dst", "vae.safetensors"]
    before = load("gan.safetensors").fingerprint
    found = json.loads(run(*options, "--samples", "64", "--no-write", "--json").stdout)
    assert found["written"] is None
    assert load("gan.safetensors").boxes == {}
    text = run(*options, "--samples", "64").stdout
    assert "written into gan.safetensors" in text
    (box,) = load("gan.safetensors").boxes.values()
    assert [round(edge, 3) for edge in found["box"]] == [
        round(float(edge), 3) for edge in box.split(",")
    ]
    assert load("gan.safetensors").fingerprint == before
    result = run(*FIT, "--src", "vae.safetensors", "--dst", "gan.safetensors")
    assert f"of which vae sees {box}" in result.stderr


def test_a_view_outside_the_image_is_refused():
    options = ["--src", "vae.safetensors", "--dst", "gan.safetensors", "--box", "0.5,0,1.5,1"]
    line = run(*FIT, *options, code=1).stderr.splitlines()[-1]
    assert "is not inside the picture" in line


def test_a_generator_has_no_codes_of_other_images():
    options = ["--src", "vae.safetensors", "--dst", "gan.safetensors", "--data", "digits"]
    result = run("fit", "--device", "cpu", "--cache", "codes", *options, code=1)
    assert "take images that it makes itself (--samples)" in result.stderr


def test_a_map_is_scored_on_images_that_a_model_makes(workdir):
    models = ["--src", "vae.safetensors", "--dst", "gan.safetensors", "--box", "0,0,0.5,0.5"]
    fitted = json.loads(run(*FIT, *models, "--out", "m.safetensors", "--json").stdout)
    evaluate = ["evaluate", "m.safetensors", "--device", "cpu", "--cache", "codes", "--json"]
    same = run(*evaluate, "--samples", "80", "--split", "test")
    assert "80 images are made by gan (w, truncation 1), seed 0" in same.stderr
    # The map knows what box of them the other model sees.
    assert json.loads(same.stdout)["m_mse"] == fitted["m_mse"]
    every = json.loads(run(*evaluate, "--samples", "80").stdout)
    assert every["record"]["n_left_out"] == fitted["n_pairs"]
    new = json.loads(run(*evaluate, "--samples", "30", "--limit", "20", "--seed", "5").stdout)
    assert (new["n_test"], new["record"]["n_left_out"]) == (20, 0)
    other = run(*evaluate, "--samples", "30", "--sample-from", "src", code=1).stderr
    assert "30 images are made by vae" in other
    assert "frame 0,0,0.5,0.5, which does not contain the frame of gan, full" in other


def test_images_that_a_model_makes_are_carried_through_a_map(workdir):
    run(*FIT, "--src", "gan.safetensors", "--dst", "vae.safetensors", "--out", "m.safetensors")
    apply = ["apply", "m.safetensors", "--device", "cpu", "--cache", "codes", "--samples", "9"]
    text = run(*apply, "-n", "3", "--figure", "grid.png", "--codes-out", "mapped.npz").stdout
    assert "grid.png: 3 images, relocated from gan to vae" in text
    mapped = np.load("mapped.npz")["codes"]
    made = load("gan.safetensors").sample(9, seed=0)
    expected = LinearMap.load(workdir / "m.safetensors").apply(made)
    assert torch.allclose(torch.from_numpy(mapped), expected, atol=1e-5)
    both = run(*apply, "--codes", "mapped.npz", "--codes-out", "again.npz", code=2).stderr
    assert "either images (--data or --samples) or codes" in both


def test_samples_are_drawn_at_the_truncation_that_a_map_records(workdir):
    models = ["--src", "vae.safetensors", "--dst", "gan.safetensors", "--out", "m.safetensors"]
    full = run(*FIT, *models, "--json")
    fitted = run(*FIT, *models, "--truncation", "0.5", "--force", "--json")
    assert "80 images are made by gan (w, truncation 0.5), seed 0" in fitted.stderr
    # The images are less different.
    full, half = (json.loads(one.stdout)["baseline_mse"] for one in (full, fitted))
    assert full > 1.3 * half
    assert len(list((workdir / "codes" / "generated").glob("*.h5"))) == 2
    assert re.search(
        r"^truncation of samples +0\.5$", run("map", "show", "m.safetensors").stdout, re.M
    )
    shown = json.loads(run("map", "show", "m.safetensors", "--json").stdout)
    assert shown["record"]["truncation"] == 0.5
    place = ["--device", "cpu", "--cache", "codes"]
    evaluate = ["evaluate", "m.safetensors", *place, "--samples", "80", "--split", "test", "--json"]
    same = json.loads(run(*evaluate).stdout)
    assert same["m_mse"] == json.loads(fitted.stdout)["m_mse"]
    assert same["record"]["score_truncation"] == 0.5
    other = run(*evaluate, "--truncation", "1")
    assert "made by gan (w, truncation 1)" in other.stderr
    assert json.loads(other.stdout)["record"]["score_truncation"] == 1
    apply = ["apply", "m.safetensors", *place, "--samples", "9", "--figure", "grid.png"]
    assert "made by gan (w, truncation 0.5)" in run(*apply).stderr
    run("map", "inverse", "m.safetensors", "--out", "back.safetensors")
    assert LinearMap.load(workdir / "back.safetensors").record["truncation"] == 0.5


def test_images_that_would_all_be_equal_are_refused(workdir):
    models = ["--src", "vae.safetensors", "--dst", "gan.safetensors", "--out", "m.safetensors"]
    refused = run(*FIT, *models, "--truncation", "0", code=1).stderr
    assert "at truncation 0 all images of gan are equal, made of its mean code" in refused


def test_a_map_of_a_data_set_records_no_truncation(workdir):
    models = ["--src", "vae.safetensors", "--dst", "other.safetensors", "--out", "m.safetensors"]
    save_model(build("vae", VAE), workdir / "other.safetensors", training={})
    run("fit", "--cache", "codes", *models, "--data", "digits", "--limit", "60")
    assert "truncation" not in LinearMap.load(workdir / "m.safetensors").record
    assert "truncation" not in run("map", "show", "m.safetensors").stdout
    evaluate = ["evaluate", "m.safetensors", "--cache", "codes", "--samples", "20"]
    assert "20 images are made by other (z, truncation 1)" in run(*evaluate).stderr


def test_codes_in_z_of_a_stylegan_cannot_be_truncated(workdir):
    generator = load("gan.safetensors").variant(space="z")
    config = default_network("residual", (1, 16, 16), 5, width=4)
    network = InversionNetwork(config, (1, 16, 16), 5)
    model = add_inversion(generator, network, config, name="inz")
    save_model(model, workdir / "inz.safetensors", training={})
    models = ["--src", "vae.safetensors", "--dst", "inz.safetensors", "--truncation", "0.5"]
    line = run(*FIT, *models, code=1).stderr.splitlines()[-1]
    assert "truncation moves codes in w, and these are in z of inz" in line
    assert not (workdir / "codes" / "generated").exists()


def test_methods_and_curves_are_of_truncated_samples(workdir):
    models = ["--src", "vae.safetensors", "--dst", "gan.safetensors", "--truncation", "0.5"]
    common = ["--device", "cpu", "--cache", "codes", "--samples", "100", *models]
    methods = run("map", "methods", *common)
    assert "100 images are made by gan (w, truncation 0.5), seed 0" in methods.stderr
    curve = run("map", "curve", *common, "--pairs", "20,40", "--draws", "2")
    assert "100 images are made by gan (w, truncation 0.5), seed 0" in curve.stderr


def test_a_frame_is_estimated_on_truncated_samples():
    options = ["frames", "estimate", "--src", "gan.safetensors", "--dst", "vae.safetensors"]
    options += ["--samples", "64", "--no-write", "--json", "--truncation"]
    found = [json.loads(run(*options, psi).stdout)["mse_whole"] for psi in ("1", "0.3")]
    assert found[0] != found[1]


def test_samples_of_one_class(workdir):
    torch.manual_seed(0)
    classes = GAN | {"c_dim": 3, "label": "embed", "embed_dim": 4}
    save_model(build("stylegan2", classes), workdir / "classes.safetensors", training={})
    models = ["--src", "vae.safetensors", "--dst", "classes.safetensors", "--out", "m.safetensors"]
    assert "choose one of its classes, 0 to 2, with --class" in run(*FIT, *models, code=1).stderr
    assert "there is no class 3" in run(*FIT, *models, "--class", "3", code=1).stderr
    assert "made by classes (w, class 2, truncation 1)" in run(*FIT, *models, "--class", "2").stderr
    other = run(*FIT, *models, "--class", "1", "--force")
    assert other.stdout != run(*FIT, *models, "--class", "2", "--force").stdout
    evaluate = ["evaluate", "m.safetensors", "--device", "cpu", "--cache", "codes"]
    run(*evaluate, "--samples", "20", "--seed", "1", "--class", "2")
    frames = ["frames", "estimate", "--src", "classes.safetensors", "--dst", "vae.safetensors"]
    run(*frames, "--samples", "64", "--class", "1")
    only = run(*FIT, "--src", "vae.safetensors", "--dst", "gan.safetensors", "--class", "0", code=1)
    assert "there is no class 0: it takes none" in only.stderr


def test_frames_that_do_not_contain_each_other_ask_for_a_view(workdir):
    upper = build("vae", VAE, frame=Frame("0,0,0.5,1"))
    save_model(upper, workdir / "upper.safetensors", training={})
    models = ["--src", "vae.safetensors", "--dst", "upper.safetensors"]
    line = run(*FIT, *models, code=1).stderr.splitlines()[-1]
    assert "makes images in the frame 0,0,0.5,1, which does not contain the frame of vae" in line
    assert "fit with the box of them that vae sees (--box 0,0,1,1 is all)" in line
    run(*FIT, *models, "--box", "0,0,1,1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "digits"], "either images"),
        (["--group-by", "gan.safetensors"], "choose images of a data set"),
        (["--sample-from", "both"], "is not one of"),
        (["--truncation", "-1"], "-1.0 is not in the range x>=0"),
    ],
)
def test_wrong_usage(words, message):
    models = ["--src", "vae.safetensors", "--dst", "gan.safetensors"]
    assert message in run(*FIT, *models, *words, code=2).stderr


def test_two_models_are_enough(monkeypatch):
    monkeypatch.setattr("latentmap.cli.image_choice.DEFAULT_SAMPLES", 60)
    models = ("--src", "vae.safetensors", "--dst", "gan.safetensors")
    result = run("fit", *models)
    assert "60 images are made by gan" in result.stderr
    caution = result.stdout.splitlines()[-1]
    assert "fitted on images that a model made: evaluate it on your own before you rely" in caution
    assert "(latentmap evaluate MAP --data IMAGES)" in caution
    kept = ("--out", "vae to gan.safetensors", "--figure", "moved.png")
    result = run("fit", *models, *kept)
    assert LinearMap.load(Path("vae to gan.safetensors")).n_pairs < 60
    assert "moved.png: original, vae reconstruction, relocated to gan" in result.stdout
    with Image.open("moved.png") as picture:
        assert picture.height == 3 * 100 - 4 + 48
    caution = result.stdout.splitlines()[-1]
    assert "(latentmap evaluate 'vae to gan.safetensors' --data IMAGES)" in caution
    Path("vae to gan.safetensors").unlink()
    assert "moved.png exists" in run("fit", *models, *kept, code=1).stderr


def test_a_support_set_is_found_in_a_data_set_only():
    models = ["--src", "vae.safetensors", "--dst", "gan.safetensors"]
    refused = run("fit", *models, "--support", "s.h5", code=2).stderr
    assert "--support needs the images that it was built from: give --data" in refused


def test_options_of_samples_are_not_for_a_data_set():
    models = ["--src", "vae.safetensors", "--dst", "gan.safetensors"]
    view = run("fit", *models, "--data", "digits", "--box", "0,0,1,1", "--class", "1", code=2)
    assert "--class and --box are for --samples: leave them out" in view.stderr


def test_the_images_are_listed_with_the_cache_and_can_be_removed(workdir):
    run(*FIT, "--src", "vae.safetensors", "--dst", "gan.safetensors")
    assert "MiB of images of `fit --samples`" in run("cache", "list", "--cache", "codes").stdout
    assert (
        json.loads(run("cache", "list", "--cache", "codes", "--json").stdout)["generated_bytes"]
        > 20_000
    )
    declined = CliRunner().invoke(
        main, ["cache", "rm", "--cache", "codes", "--generated"], input="n\n"
    )
    assert declined.exit_code == 1
    assert (workdir / "codes" / "generated").exists()
    assert "frees" in run("cache", "rm", "--cache", "codes", "--generated", "--yes").stdout
    assert not (workdir / "codes" / "generated").exists()
    assert (
        json.loads(run("cache", "list", "--cache", "codes", "--json").stdout)["generated_bytes"]
        == 0
    )
    # The codes are still there, and the images are made again when they are wanted.
    assert json.loads(run("cache", "list", "--cache", "codes", "--json").stdout)["entries"]
    run(*FIT, "--src", "vae.safetensors", "--dst", "gan.safetensors", "--force")


def test_a_bundled_model_is_not_changed_by_the_box_that_is_found():
    models = ["--src", "mnist-gan", "--dst", "mnist-vae"]
    result = run("frames", "estimate", *models, "--samples", "64", code=2)
    assert "mnist-gan is a bundled model, which stays as it is: add --no-write" in result.stderr
