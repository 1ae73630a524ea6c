"""Every command that scores says how many images its models were trained on, and leaves them out
where that is asked for.
"""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.images import open_images

TINY = ["--architecture", "dense", "--widths", "16", "--latent-dim", "3", "--batch-size", "50"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """500 digits of which the model ``knows`` has seen every third, and another none of them."""
    path = tmp_path_factory.mktemp("unseen")
    digits = open_images("digits")
    pixels = np.stack([digits.read(i) for i in range(1000)])
    np.save(path / "all.npy", pixels[:500])
    np.save(path / "third.npy", pixels[:500:3])
    np.save(path / "others.npy", pixels[500:])
    for name, data in (("knows", "third"), ("other", "others")):
        words = ["train", "vae", "--data", f"{path}/{data}.npy", *TINY, "--epochs", "1"]
        invoke(*words, "--device", "cpu", "--out", f"{path}/{name}.safetensors")
    return path


@pytest.fixture(autouse=True)
def workdir(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LATENTMAP_CACHE", str(tmp_path / "codes"))


def invoke(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


PAIR = ["--src", "knows.safetensors", "--dst", "other.safetensors", "--data", "all.npy"]
FIT = [*PAIR, "--out", "map.safetensors", "--force"]


def seen_of_test():
    """How many images of the split test are every third, and how many there are."""
    images = open_images("all.npy")
    test = np.flatnonzero(images.splits == "test")
    return int((test % 3 == 0).sum()), len(test)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["fit", *FIT], lambda said: said["record"]["n_seen"]),
        (["map", "curve", *PAIR, "--pairs", "50", "--draws", "2"],
         lambda said: said["record"]["n_seen"]),
        (["support", "compare", *PAIR, "--members", "20", "--strategies", "random"],
         lambda said: said["record"]["n_seen"]),
        (["diagnose", "knows.safetensors", "--data", "all.npy", "--split", "test"],
         lambda said: said["n_seen"]),
        (["invert", "knows.safetensors", "--data", "all.npy", "--split", "test", "--method",
          "network"], lambda said: said["n_seen"]),
        (["bench", "knows.safetensors", "--set", "all.npy", "--set", "own:4", "--split", "test",
          "--methods", "network"],
         lambda said: said["generators"][0]["record"]["n_seen"]["all.npy"]),
    ],
    ids=["fit", "curve", "support", "diagnose", "invert", "bench"],
)  # fmt: skip
def test_what_was_seen_is_counted_and_left_out(words, place):
    seen, n = seen_of_test()
    assert 0 < seen < n
    result = invoke(*words, "--device", "cpu", "--json")
    assert place(json.loads(result.stdout))["knows"] == seen
    assert f"seen in training, of {n} images" in result.stderr
    assert f"knows {seen}" in result.stderr and "(--unseen leaves these out)" in result.stderr
    result = invoke(*words, "--device", "cpu", "--json", "--unseen")
    assert place(json.loads(result.stdout))["knows"] == 0
    assert f"left out {seen} images that a model was trained on" in result.stderr
    assert f"seen in training, of {n - seen} images" in result.stderr


def test_a_map_is_evaluated_on_unseen_images():
    invoke("fit", *FIT, "--device", "cpu")
    seen, n = seen_of_test()
    words = ["evaluate", "map.safetensors", "--data", "all.npy", "--split", "test"]
    said = json.loads(invoke(*words, "--device", "cpu", "--json", "--unseen").stdout)
    assert said["n_test"] == n - seen
    assert said["record"]["n_seen"] == {"knows": 0, "other": 0}


def test_a_comparison_leaves_out_test_images_alone():
    seen, n = seen_of_test()
    words = ["compare", "knows.safetensors", "other.safetensors", "--data", "all.npy", "--device"]
    words += ["cpu", "--images", "20", "--permutations", "19", "--json"]
    whole, part = (json.loads(invoke(*words, *more).stdout) for more in ([], ["--unseen"]))
    assert whole["record"]["n_seen"] == {"knows": seen, "other": 0}
    assert part["record"]["n_seen"] == {"knows": 0, "other": 0}
    assert (whole["n_test"], part["n_test"]) == (n, n - seen)
    assert whole["n_fit"] == part["n_fit"]


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "--src", "a", "--dst", "b", "--samples", "100"],
        ["evaluate", "map.safetensors", "--samples", "100"],
        ["compare", "mnist-vae", "mnist-svae", "--samples", "300"],
    ],
)
def test_samples_are_nobodys_training_images(words):
    invoke("fit", *FIT, "--device", "cpu")
    result = invoke(*words, "--unseen", code=2)
    assert "--unseen chooses images of a data set: leave it out, or give --data" in result.stderr
