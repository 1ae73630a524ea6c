"""The thumbnail that stands beside a map."""

import json

import numpy as np
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.mapping import LinearMap

FIT = ("fit", "--src", "a.safetensors", "--dst", "b.safetensors", "--out", "map.safetensors")


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def test_a_fit_has_a_thumbnail_of_as_many_numbers_beside_it(workdir):
    words = (*FIT, "--data", "few.npy", "--json", "--report", "report")
    scores = json.loads(run(*words).stdout)
    assert (scores["thumbnail"]["model"], scores["thumbnail"]["numbers"]) == ("pixels:2x2", 4)
    assert scores["thumbnail"]["r2_low"] < scores["thumbnail"]["r2"]
    assert LinearMap.load("map.safetensors").record["thumbnail"] == scores["thumbnail"]
    assert "R2 of thumbnail" in (workdir / "report" / "index.html").read_text()
    result = run(*FIT, "--data", "few.npy", "--force", "--no-thumbnail")
    assert "thumbnail" not in result.stdout
    assert "thumbnail" not in LinearMap.load("map.safetensors").record


def test_the_figures_of_the_map_do_not_change_by_it(workdir):
    with_it, without = (
        json.loads(run(*FIT, "--data", "few.npy", "--force", "--json", *more).stdout)
        for more in ((), ("--no-thumbnail",))
    )
    for name in ("r2", "r2_low", "m_mse", "m_mse_high", "efficiency", "l_mse_per_variable"):
        assert with_it[name] == without[name]


def test_samples_are_images_too(workdir):
    result = run(*FIT, "--samples", "60", "--method", "similarity")
    assert "R2 of thumbnail" in result.stdout


def test_a_method_that_thumbnails_cannot_have_says_so(workdir):
    result = run(*FIT, "--data", "few.npy", "--method", "errors-in-variables")
    assert "no thumbnail stands beside this map: pixels:2x2" in result.stderr
    assert "thumbnail" not in result.stdout


def test_without_images_there_is_none(workdir):
    rng, ids = np.random.default_rng(0), [f"{number}.png" for number in range(300)]
    for name in ("a", "b"):
        np.savez(f"{name}.npz", ids=ids, codes=rng.normal(size=(300, 4)).astype(np.float32))
    result = run("fit", "--src", "a.npz", "--dst", "b.npz", "--out", "codes.safetensors")
    assert "thumbnail" not in result.output
