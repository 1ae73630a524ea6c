"""The baselines that stand beside a map."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.errors import MapError
from latentmap.images import open_images
from latentmap.mapping import LinearMap

FIT = ("fit", "--src", "a.safetensors", "--dst", "b.safetensors", "--out", "map.safetensors")


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def test_a_fit_has_baselines_of_as_many_numbers_beside_it(workdir):
    words = (*FIT, "--data", "few.npy", "--json", "--report", "report")
    scores = json.loads(run(*words).stdout)
    found = [(one["kind"], one["model"], one["numbers"]) for one in scores["baselines"]]
    assert found == [
        ("pixels", "pixels:2x2", 4),
        ("pca", "pca:5", 5),
        ("untrained", "untrained:a", 5),
    ]
    for one in scores["baselines"]:
        assert one["r2_low"] < one["r2"] < one["r2_high"]
    best = max(scores["baselines"], key=lambda one: one["r2"])
    assert scores["best_baseline"] == best["model"]
    assert scores["r2_gain"] == pytest.approx(scores["r2"] - best["r2"], abs=1e-6)
    beside = LinearMap.load("map.safetensors").record["beside"]
    assert beside["baselines"] == scores["baselines"]
    assert "untrained:a" in (workdir / "report" / "index.html").read_text()
    result = run(*FIT, "--data", "few.npy", "--force", "--baselines", "none")
    assert "Beside it" not in result.stdout
    assert LinearMap.load("map.safetensors").record["beside"]["baselines"] == []


def test_the_figures_of_the_map_do_not_change_by_it(workdir):
    with_it, without = (
        json.loads(run(*FIT, "--data", "few.npy", "--force", "--json", *more).stdout)
        for more in ((), ("--baselines", "none"))
    )
    for name in ("r2", "r2_low", "m_mse", "m_mse_high", "efficiency", "l_mse_per_variable"):
        assert with_it[name] == without[name]


def test_samples_are_images_too(workdir):
    result = run(*FIT, "--samples", "60", "--method", "similarity")
    assert "pixels:2x2" in result.stdout


def test_a_method_that_thumbnails_cannot_have_says_so(workdir):
    result = run(*FIT, "--data", "few.npy", "--method", "errors-in-variables")
    assert "no pixels:2x2 stands beside this map: pixels:2x2" in result.stderr
    assert "pixels:2x2" not in result.stdout


def test_without_images_there_is_none(workdir):
    rng, ids = np.random.default_rng(0), [f"{number}.png" for number in range(300)]
    for name in ("a", "b"):
        np.savez(f"{name}.npz", ids=ids, codes=rng.normal(size=(300, 4)).astype(np.float32))
    result = run("fit", "--src", "a.npz", "--dst", "b.npz", "--out", "codes.safetensors")
    assert "Beside it" not in result.output
    more = ("--force", "--baselines", "pixels")
    result = run("fit", "--src", "a.npz", "--dst", "b.npz", "--out", "codes.safetensors", *more)
    assert "no baseline pixels stands beside this map: no image is seen" in result.stderr


def test_a_ceiling_stands_beside_the_map(workdir):
    scores = json.loads(run(*FIT, "--data", "few.npy", "--ceiling", "--json").stdout)
    assert scores["ceiling"] in ("linear", "perceptron", "random features")
    assert scores["linearity_low"] <= scores["linearity"] <= 1
    assert scores["r2_ceiling"] >= scores["r2"] or scores["linearity"] == 1
    result = run(*FIT, "--data", "few.npy", "--ceiling", "--force")
    assert "a linear map is" in result.stdout or "whether a linear map is" in result.stdout


def test_evaluate_has_the_baselines_of_the_fit_beside_the_map(workdir):
    words = ("--data", "few.npy", "--json")
    fitted = json.loads(run(*FIT, *words).stdout)
    again = json.loads(run("evaluate", "map.safetensors", *words, "--split", "test").stdout)
    assert len(again["baselines"]) == 3
    for name in ("best_baseline", "best_baseline_by_images"):
        assert again[name] == fitted[name]
    for name in ("r2_gain", "r2_gain_low", "r2_gain_p"):
        assert again[name] == pytest.approx(fitted[name], rel=1e-5)


def test_a_file_of_a_map_whose_baselines_do_not_fit_is_refused(workdir):
    run(*FIT, "--data", "few.npy")
    fitted = LinearMap.load("map.safetensors")
    (pixels, *_) = fitted.baselines
    for wrong, said in (
        (replace(pixels, weight=pixels.weight[:, 1:]), "must be a matrix"),
        (replace(pixels, weight=pixels.weight * torch.inf), "must be float64 and finite"),
        (
            replace(pixels, weight=pixels.weight[:, 1:], bias=pixels.bias[1:]),
            "must be a matrix, here",
        ),
        (replace(pixels, mean=torch.zeros(3)), "have a mean"),
        (replace(pixels, mean=torch.zeros(3), components=torch.zeros(9, 3)), "of as many rows"),
    ):
        replace(fitted, baselines=(wrong,)).save("wrong.safetensors")
        with pytest.raises(MapError, match=said):
            LinearMap.load("wrong.safetensors")


def test_an_untrained_source_has_no_untrained_baseline(workdir):
    words = ("--src", "untrained:a.safetensors", "--dst", "b.safetensors", "--out", "c.safetensors")
    scores = json.loads(run("fit", *words, "--data", "few.npy", "--json").stdout)
    assert [one["kind"] for one in scores["baselines"]] == ["pixels", "pca"]


def test_components_are_left_out_where_too_few_images_can_be_read(workdir):
    (workdir / "images").mkdir()
    for number, pixels in enumerate(np.load("few.npy")[:60]):
        Image.fromarray(pixels.squeeze()).save(workdir / "images" / f"{number}.png")
    words = (*FIT, "--data", "images", "--limit", "5", "--on-error", "skip", "--json")
    scores = json.loads(run(*words).stdout)
    assert [one["kind"] for one in scores["baselines"]] == ["pixels", "pca", "untrained"]
    fitted = open_images(workdir / "images").split("train").ids[0]
    (workdir / "images" / fitted).write_bytes(b"nothing")
    result = run(*words, "--force", "--baselines", "pixels,pca,untrained")
    assert [one["kind"] for one in json.loads(result.stdout)["baselines"]] == [
        "pixels",
        "untrained",
    ]
    assert "no baseline pca stands beside this map: pca:5 needs as many" in result.stderr
