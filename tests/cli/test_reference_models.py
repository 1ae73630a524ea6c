"""Reference models and sizes on the command line."""

import json
import math
import re

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.mapping import LinearMap


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def test_a_map_into_thumbnails_finds_its_models_again(workdir):
    path = workdir / "pca-8-to-pixels-4.safetensors"
    words = ("--src", "pca:8", "--dst", "pixels:4", "--size", "8x8", "--data", "few.npy")
    run("fit", *words, "--out", path)
    linear_map = LinearMap.load(path)
    assert linear_map.target.shape == (3, 2, 2)
    assert linear_map.target_reference == (
        "pixels:4?channels=3&frame=full&resize=torch-bicubic&size=8x8"
    )
    result = run("evaluate", path, "--data", "few.npy", "--split", "test", "--json")
    scores = json.loads(result.stdout)
    assert 0.8 < scores["r2"] < 1


def test_a_map_into_thumbnails_tells_its_error_in_decibels(workdir):
    words = ("--src", "pca:8", "--dst", "pixels:4", "--size", "8x8", "--data", "few.npy")
    fitted = run("fit", *words, "--out", "m.safetensors", "--json")
    scores = json.loads(fitted.stdout)
    assert scores["psnr"] == pytest.approx(-10 * math.log10(scores["l_mse"]))
    assert scores["psnr_low"] == pytest.approx(-10 * math.log10(scores["l_mse_high"]))
    printed = run("fit", *words, "--force", "--out", "m.safetensors").stdout
    assert re.search(r"^PSNR +\d+\.\d \[\d+\.\d, \d+\.\d\] +of pixels, in decibels", printed, re.M)
    shown = run("map", "show", "m.safetensors").stdout
    assert re.search(rf"^held-out PSNR +{scores['psnr']:.1f} \[", shown, re.M)
    described = json.loads(run("map", "show", "m.safetensors", "--json").stdout)
    kept = described["record"]["held_out"]
    assert kept == {name: scores[name] for name in kept}
    coded = ("--src", "pca:8", "--dst", "a.safetensors", "--data", "few.npy")
    run("fit", *coded, "--out", "pca-8-to-a.safetensors")
    assert "PSNR" not in run("map", "show", "pca-8-to-a.safetensors").stdout


def test_reference_models_are_compared_as_any_other(workdir):
    references = ["a.safetensors", "pixels:4", "pca:8", "mean"]
    result = run("compare", *references, "--data", "few.npy", "--permutations", "19", "--json")
    found = json.loads(result.stdout)
    assert [model["reference"] for model in found["models"]] == references


def test_a_size_that_is_none(workdir):
    result = run("encode", "pixels:8", "--size", "64x", "--data", "few.npy", code=2)
    assert "'64x' is no size: give one number, or height x width: 96x64" in result.stderr


def test_what_is_fitted_needs_images(workdir):
    result = run("sample", "pca:8?size=8x8", "--figure", "made.png", code=1)
    assert "pca:8 is fitted on training images, and there are none here" in result.stderr
