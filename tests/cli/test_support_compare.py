"""latentmap support compare and latentmap fit --support, run as a user runs them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.images import open_images
from latentmap.mapping import LinearMap
from latentmap.support import SupportSet

MODELS = ["--src", "a.safetensors", "--dst", "b.safetensors", "--device", "cpu"]
SECTORS = ["-k", "2"]
BUILD = ["support", "build", "a.safetensors", "--data", "few.npy", "--device", "cpu"]


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def compare(*words, code=0):
    return run(
        "support",
        "compare",
        *MODELS,
        *("--data", "few.npy", "-n", "12,30", "--draws", 2),
        *words,
        code=code,
    )


def fit(*words, code=0):
    out = ("--out", "a-to-b.safetensors")
    return run("fit", *MODELS, "--data", "few.npy", *out, *words, code=code)


def error_of(result):
    told = result.stderr.splitlines()
    lines = [line for line in told if line.strip() and not line.startswith("next: ")]
    assert len(lines) == 1, lines
    return lines[0]


def test_every_strategy_stands_beside_random_images_with_the_answer_in_words(workdir):
    text = compare(*SECTORS, "--figure", "sets.png").stdout
    for name in ("random", "sectors", "farthest", "kmeans", "doptimal", "leverage"):
        assert text.count(f"  {name}") >= 2
    assert "sectors against as many random images: R2 " in text
    assert "at 12: sectors R2 0." in text
    assert "10 comparisons with random images" in text
    assert "a to b, sets chosen in a, by ridge: few.npy\n" in text
    with Image.open(workdir / "sets.png") as picture:
        assert min(picture.size) > 500


def test_one_json_object_has_all_figures_and_what_made_them(workdir):
    words = ["--json", "--strategies", "sectors", *SECTORS, "--in", "dst"]
    found = json.loads(compare(*words).stdout)
    assert [(one["size"], one["strategy"]) for one in found["points"]] == [
        (12, "random"),
        (12, "sectors"),
        (30, "random"),
        (30, "sectors"),
    ]
    splits = open_images("few.npy").splits
    assert found["n_candidates"] == (splits == "train").sum()
    assert found["n_test"] == (splits == "test").sum()
    record = found["record"]
    assert record["built_in"].startswith("z of b")
    assert len(record["variables"]) == 2
    assert record["split"] == "train"
    assert found["points"][1]["k"] == 2


def test_limit_holds_for_both_splits(workdir):
    words = ["--json", "--limit", 20, "--members", "12", "--strategies", "kmeans"]
    found = json.loads(compare(*words).stdout)
    assert (found["n_candidates"], found["n_test"]) == (20, 20)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--members", "12,many"], "is no list of numbers of images"),
        (["--members", "1"], "give numbers from 2 to"),
        (["--strategies", "best"], "unknown strategy 'best': choose among sectors, random"),
        (["--draws", "1"], "not in the range"),
        (["--method", "all"], "is not one of"),
        (["--threshold", "nan"], "is no threshold"),
        (["--strategies", "kmeans,random,kmeans"], "kmeans is given twice"),
        (["--strategies", "random", "--threshold", "1"], "--threshold has no effect where sectors"),
        (
            ["--strategies", "kmeans", *SECTORS],
            "-k/--variables has no effect where sectors are not among",
        ),
    ],
)
def test_wrong_usage(workdir, words, message):
    assert message in compare(*words, code=2).stderr
    assert not (workdir / "latentmap-cache").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-k", "6"], "there are 5 latent variables, fewer than 6 leading ones"),
        (
            [*SECTORS, "--limit", "3", "--members", "2"],
            "2 leading variables have 4 sectors, more than the 3",
        ),
        (["--members", "1000"], "training images, not 1000"),
        (["--figure", "few.npy"], "--data and --figure are both few.npy"),
        (["--figure", "sets.txt"], "must end in .pdf, .svg"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(workdir, words, message):
    assert message in error_of(compare(*words, code=1))
    assert not (workdir / "latentmap-cache").exists()


def test_a_map_is_fitted_on_the_images_of_a_support_set(workdir):
    run(*BUILD, "-k", 2, "--members", 40, "--out", "support.h5")
    support = SupportSet.load(workdir / "support.h5")
    scores = json.loads(fit("--support", "support.h5", "--json").stdout)
    linear_map = LinearMap.load(workdir / "a-to-b.safetensors")
    assert {row.tobytes() for row in linear_map.train_digests} == {
        row.tobytes() for row in support.digests
    }
    assert linear_map.n_pairs == 40
    record = linear_map.record
    assert record["split"] is None
    assert record["support"]["strategy"] == "sectors"
    assert (record["support"]["file"], record["support"]["n"]) == ("support.h5", 40)
    # The set was chosen among all images; those of the split test are not scored.
    images = open_images("few.npy")
    in_test = np.isin(support.ids, images.split("test").ids).sum()
    assert in_test > 0
    assert scores["record"]["n_left_out"] == in_test
    assert scores["n_test"] == (images.splits == "test").sum() - in_test
    limited = json.loads(fit("--support", "support.h5", "--limit", 8, "--json", "--force").stdout)
    assert limited["n_pairs"] == 40
    assert limited["n_test"] + limited["record"]["n_left_out"] == 8


def test_a_support_set_of_other_data_is_refused(workdir):
    run(*BUILD, "-k", 2, "--members", 40, "--out", "support.h5")
    np.save("other.npy", 255 - np.load("few.npy"))
    line = run("fit", *MODELS, "--data", "other.npy", "--support", "support.h5", code=1).stderr
    assert "40 of the 40 images of the support set are not among the 300 of other.npy" in line
    missing = fit("--support", "nothing.h5", code=1).stderr
    assert "nothing.h5" in missing


@pytest.mark.parametrize(
    "words",
    [["--split", "val"], ["--pairs", "20"]],
)
def test_a_support_set_alone_says_what_a_map_is_fitted_on(workdir, words):
    message = fit("--support", "support.h5", *words, code=2).stderr
    assert f"{words[0]} cannot be used with --support" in message


def test_samples_cannot_be_those_of_a_support_set(workdir):
    words = ["--samples", "60", "--support", "support.h5"]
    assert "--samples cannot be used with --support" in run("fit", *MODELS, *words, code=2).stderr


def test_all_methods_are_compared_on_a_support_set(workdir):
    run(*BUILD, "-k", 2, "--members", 40, "--out", "support.h5")
    words = [*MODELS, "--data", "few.npy", "--support", "support.h5", "--json"]
    results = json.loads(run("map", "methods", *words).stdout)
    assert {one["n_pairs"] for one in results["results"]} == {40}
