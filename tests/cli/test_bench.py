import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cache import LatentCache
from latentmap.cli.bench import METHODS, bench
from latentmap.encoders import load
from latentmap.images import open_images
from latentmap.inversion import INVERSION_METHODS
from latentmap.support.selection import build_support_set

QUICK = ["--steps", "4", "--starts", "1", "--cache", "cache", "--device", "cpu"]


def run(*arguments, code=0):
    result = CliRunner().invoke(bench, [*map(str, arguments), *QUICK])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        assert code == 1, result.exception
        return str(result.exception)
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def make_support(*, with_images=False, variables=(0, 1)):
    images = open_images("few.npy")
    codes = LatentCache("cache").get_or_encode(load("a.safetensors"), images)
    support = build_support_set(codes, variables=variables, threshold=0.0, size=12, seed=0)
    if with_images:
        support = support.with_images(images)
    support.save(Path("support.h5"))


def test_the_choices_are_those_of_the_library():
    assert METHODS == INVERSION_METHODS


def test_a_table_has_every_model_target_and_method(workdir):
    output = run("a.safetensors", "b.safetensors", "--target", "own:12", "--target", "few.npy:10")
    rows = [line.split()[:4] for line in output.splitlines()[1:9]]
    assert rows == [
        [model, target, method, n]
        for model in ("a", "b")
        for target, n in (("own", "12"), ("few.npy:10", "10"))
        for method in ("network", "search")
    ]
    assert "the search misses" in output
    assert "generator limit" in output
    assert "encoder gap" in output


def test_an_encoder_groups_images_and_measures_coverage(workdir):
    output = run(
        "a.safetensors",
        *("--target", "own:12", "--target", "few.npy:16", "--encoder", "b.safetensors"),
        *("--method", "network"),
    )
    assert "of 4 sectors are blind for the network" in output
    assert "precision" in output
    assert "not calibrated, for lack of a search" in output


def test_json_and_pictures_are_written(workdir):
    printed = run(
        "a.safetensors",
        *("--target", "few.npy:10", "--target", "own:8", "--method", "network"),
        *("--encoder", "b.safetensors", "--out", "out", "--json"),
    )
    (result,) = json.loads(printed)["generators"]
    assert json.loads((workdir / "out" / "bench.json").read_text()) == {"generators": [result]}
    assert (result["own"]["n"], result["targets"][0]["n"]) == (8, 10)
    assert result["record"]["command"]
    assert {path.name for path in (workdir / "out").iterdir()} >= {
        "a-own.png",
        "a-few-npy-10.png",
        "a-few-npy-10-sectors.png",
        "bench.json",
    }
    message = run("a.safetensors", "--target", "few.npy:10", "--out", "out", code=1)
    assert "out is not empty: choose another folder, or add --force" in message


def test_a_support_set_is_found_in_its_data_or_in_its_file(workdir):
    make_support()
    arguments = ("a.safetensors", "--target", "own:8", "--target", "support.h5")
    printed = run(*arguments, "--data", "few.npy", "--method", "network", "--json")
    (one,) = json.loads(printed)["generators"][0]["targets"]
    assert (one["target"], one["n"], len(one["sectors"])) == ("support.h5", 12, 4)
    assert one["variables"] == [0, 1]
    assert "holds no images" in run(*arguments, code=1)
    make_support(with_images=True)
    printed = run(*arguments, "--method", "network", "--json")
    (other,) = json.loads(printed)["generators"][0]["targets"]
    assert other["methods"]["network"]["mse"] == pytest.approx(one["methods"]["network"]["mse"])


def test_the_sectors_of_a_support_set_are_drawn_as_a_map(workdir):
    make_support(with_images=True, variables=(0, 1, 2))
    arguments = ("--target", "own:8", "--target", "support.h5:9", "--method", "network")
    output = run("a.safetensors", *arguments, "--out", "out")
    assert (workdir / "out" / "a-support-h5-9-sectors.png").stat().st_size > 5000
    assert "+" in output


def test_a_support_set_of_other_data_is_refused(workdir):
    make_support()
    np.save("other.npy", np.load("few.npy")[:, ::-1])
    arguments = ("--target", "support.h5", "--data", "other.npy")
    assert "a support set of other data" in run("a.safetensors", *arguments, code=1)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.zip:5", "nowhere.zip"),
        ("own:0", "'own:0' must have at least 2 images, not 0"),
        ("own", "say how many own images"),
        ("few.npy:301", "asks for 301 images, but there are 300"),
    ],
)
def test_a_target_that_cannot_be_is_refused(workdir, target, message):
    assert message in run("a.safetensors", "--target", target, code=1)


def test_wrong_usage_is_said(workdir):
    twice = run("a.safetensors", "--target", "own:5", "--target", "own:6", code=2)
    assert "own images are one target" in twice
    alone = run("a.safetensors", "--target", "own:5", "--src", "b.safetensors", code=2)
    assert "--map and --src belong together" in alone
