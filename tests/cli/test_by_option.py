"""What maps lose on groups of images, as `evaluate` and `compare` say it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.images import open_images

EVALUATE = ("evaluate", "map.safetensors", "--data", "few.npy")
COMPARE = ("compare", "a.safetensors", "b.safetensors", "--data", "few.npy", "-n", "20")
QUICK = ("--similarity-images", "20", "--permutations", "19", "--baselines", "none")


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def known(workdir):
    """A table of what is known of most of the digits, and a map between the two models."""
    lines = ["file,Odd,Low,Half"]
    for i in range(300):
        odd, low = ("", "") if i % 10 == 0 else (1 if i % 2 else -1, 1 if i % 3 else -1)
        lines.append(f"{i},{odd},{low},{1 if i < 150 else -1}")
    (workdir / "few.csv").write_text("\n".join(lines))
    models = ("--src", "a.safetensors", "--dst", "b.safetensors", "--baselines", "none")
    run("fit", *models, "--data", "few.npy", "--out", "map.safetensors")
    return ("--attributes", "few.csv")


def test_evaluate_says_what_is_lost_on_groups(known):
    words = (*EVALUATE, *known, "--by", "Odd", "--by", "Odd,Low", "--json")
    printed = json.loads(run(*words).stdout)
    one, two = printed["by"]["cuts"]
    assert [group["name"] for group in one["groups"]] == ["Odd", "not Odd"]
    assert len(two["groups"]) == 4
    images = open_images("few.npy")
    test = sorted({*map(int, images.ids)} - {*map(int, images.split("train").ids)})
    assert one["n_unknown"] == sum(i % 10 == 0 for i in test)
    odd, even = one["groups"]
    assert odd["n"] == sum(i % 2 for i in test)
    assert odd["n"] + even["n"] + one["n_unknown"] == printed["n_test"] == len(test)
    assert odd["error_ratio"] == pytest.approx(odd["m_mse"] / even["m_mse"])
    share = [group["m_mse"] / group["floor_mse"] for group in (odd, even)]
    assert odd["loss"]["ratio"] == pytest.approx(share[0] / share[1])
    assert even["loss"] is None
    assert len(printed["by"]["verdicts"]) == 5


def test_the_groups_stand_in_the_terminal_and_in_the_report(workdir, known):
    result = run(*EVALUATE, *known, "--by", "Odd", "--report", "report")
    assert "the target does itself" in result.stdout
    assert "of which Odd is not known" in result.stdout
    page = (workdir / "report" / "index.html").read_text(encoding="utf-8")
    assert "By Odd" in page and "over floor" in page
    assert "the target does itself" in page


def test_groups_and_probes_share_a_table(known):
    words = (*EVALUATE, *known, "--by", "Odd", "--probe", "Low", "--split", "test")
    one = json.loads(run(*words, "--json").stdout)
    assert one["probes"]["attributes"][0]["name"] == "Low"
    one = json.loads(
        run(*EVALUATE, *known, "--by", "brightness", "--probe", "Low", "--json").stdout
    )
    assert len(one["by"]["cuts"][0]["groups"]) == 3
    few = run(*EVALUATE, "--by", "Odd", code=2).stderr
    assert "--by Odd is a column of a table" in few
    assert "has no column 'Old'" in run(*EVALUATE, *known, "--by", "Old", code=1).stderr


def test_samples_have_no_table_but_can_be_bright(workdir, known):
    words = ("evaluate", "map.safetensors", "--samples", "60", "--by", "brightness", "--json")
    printed = json.loads(run(*words).stdout)
    assert printed["by"]["held_against"] in ("nothing", "floor")
    assert sum(group["n"] for group in printed["by"]["cuts"][0]["groups"]) == printed["n_test"]


def test_compare_says_of_all_ways_what_is_lost_on_groups(workdir, known):
    words = (*COMPARE, *QUICK, *known, "--by", "Half")
    (cut,) = json.loads(run(*words, "--json").stdout)["by_group"]
    assert [(way["source"], way["target"], way["group"]) for way in cut["ways"]] == [
        (0, 1, "Half"),
        (1, 0, "Half"),
    ]
    for way in cut["ways"]:
        expected = (1 - way["r2"]) / (1 - way["other_r2"])
        assert way["codes"]["ratio"] == pytest.approx(expected)
    result = run(*words, "--report", "report")
    assert "Maps by Half" in result.stdout
    assert "Half, than on the rest (images, over the target's own error)" in result.stdout
    page = (workdir / "report" / "index.html").read_text(encoding="utf-8")
    assert "Maps by Half" in page


def test_files_of_codes_have_groups_of_codes_alone(workdir):
    generator, ids = np.random.default_rng(0), [f"{i}.png" for i in range(400)]
    lines = [f"{name},{1 if i % 2 else -1}" for i, name in enumerate(ids)]
    (workdir / "codes.csv").write_text("\n".join(["file,Odd", *lines]))
    for name in ("a", "b"):
        codes = generator.normal(size=(400, 4)).astype(np.float32)
        np.savez(f"{name}.npz", ids=ids, codes=codes)
    run("fit", "--src", "a.npz", "--dst", "b.npz", "--out", "codes.safetensors")
    words = ("--attributes", "codes.csv", "--by", "Odd", "--json")
    printed = json.loads(run("evaluate", "codes.safetensors", "--split", "test", *words).stdout)
    assert printed["by"]["held_against"] == "variance"
    odd, even = printed["by"]["cuts"][0]["groups"]
    assert odd["loss"]["ratio"] == pytest.approx((1 - odd["r2"]) / (1 - even["r2"]))
    assert odd["m_mse"] is None
