"""The models that ship with the package: they belong together, and are what their cards say."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.encoders import load
from latentmap.encoders.bundled import FOLDER, bundled_models
from latentmap.encoders.cards import measure
from latentmap.encoders.native import read_header
from latentmap.encoders.recipes import bundled_recipes, read_recipe
from latentmap.images import open_images
from latentmap.model import count_seen

FACES = ["vae", "vae-b", "svae", "gan", "stylegan"]
DIGITS = [f"mnist-{name}" for name in FACES]
CELEBA = Path(__file__).resolve().parents[2] / "shared" / "data" / "celeba64.zip"


def test_every_recipe_has_its_model_and_all_are_small_enough_to_ship():
    assert sorted([*FACES, *DIGITS]) == sorted(bundled_models()) == sorted(bundled_recipes())
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 20e6


@pytest.mark.parametrize("names", [FACES, DIGITS], ids=["faces", "digits"])
def test_every_pair_of_a_family_has_a_map_that_carries_something(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["compare", *names, "--samples", "500", "--permutations", "19", "--device", "cpu"]
    # As little as can be of what is not looked at.
    words += ["-n", "20", "--similarity-images", "20", "--baselines", "none"]
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == 0, result.output
    pairs = json.loads(result.stdout)["pairs"]
    assert len(pairs) == 20
    assert all(pair["r2"] > 0.05 for pair in pairs)


@pytest.mark.parametrize("name", [*FACES, *DIGITS])
def test_a_pair_reproduces_held_out_images_far_better_than_their_mean(name):
    said = read_header(bundled_models()[name]).training["held_out"]
    assert said["reconstruction"][2] < 0.7 * said["baseline"][1]
    assert said["own"][2] < 0.25 * said["own_baseline"][1]


@pytest.mark.parametrize("name", [*FACES, *DIGITS])
def test_every_model_knows_its_training_images(name):
    n_seen = read_header(bundled_models()[name]).n_seen
    # A filter cannot tell about one pair of images in 20,000 apart.
    assert n_seen == pytest.approx(60_000 if name in DIGITS else 12_704, rel=2e-4)


@pytest.mark.parametrize("name", [name for name in (*FACES, *DIGITS) if "vae" in name])
def test_every_vae_keeps_the_law_of_variance(name):
    said = read_header(bundled_models()[name]).training
    # Of weights in float16.
    assert (
        said["aggregate"]["law_deviation_max"]
        < 1e-3
        < 0.1
        < (said["before_normalising"]["law_deviation_max"])
    )
    assert said["aggregate"]["kl"] < said["before_normalising"]["kl"]


@pytest.mark.skipif(not CELEBA.exists(), reason="needs CelebA")
def test_no_bundled_model_of_faces_has_seen_the_people_of_the_test():
    models = [load(name) for name in FACES]
    test = read_recipe("vae").open_test(CELEBA)
    assert count_seen(models, test.digests, test.groups) == dict.fromkeys(FACES, 0)
    apart = open_images(CELEBA, split="test")
    # Most of a split that knows nothing of persons.
    assert count_seen(models, apart.digests) == dict.fromkeys(FACES, 1307)
    assert len(apart) == 1595


@pytest.mark.skipif(not CELEBA.exists(), reason="needs CelebA")
def test_a_card_gives_the_figures_that_are_measured():
    said = read_header(bundled_models()["vae"]).training["held_out"]
    measured = measure(load("vae"), read_recipe("vae").open_test(CELEBA)).to_json()
    for name in ("reconstruction", "baseline", "own", "own_baseline"):
        assert measured[name] == pytest.approx(said[name], rel=1e-3)
