"""latentmap support order, run as a user runs it."""

import json
import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli import sector_options
from latentmap.cli.main import main
from latentmap.support.centers import CENTERS


def run(*words, code=0):
    result = CliRunner().invoke(main, ["support", "order", *map(str, words), "--device", "cpu"])
    assert result.exit_code == code, result.output
    return result


def refusal(*words, code=1) -> str:
    lines = run(*words, code=code).stderr.splitlines()
    assert code == 2 or len(lines) == 1
    return lines[-1]


def picture(path):
    with Image.open(path) as read:
        return np.asarray(read)


def test_the_table_is_sorted_and_says_how_sure_it_is(workdir):
    result = run("a.safetensors", "--data", "few.npy", "-k", 2)
    title, _, *lines = result.stdout.splitlines()
    assert title == "The variables of a: few.npy"
    assert lines[1].split() == ["variable", "gain", "images"]
    rows = [re.findall(r"-?\d[\d.e-]*", line) for line in lines[2 : lines.index("")]]
    (dropped,) = [line.split() for line in lines if line.startswith("dropped")]
    assert len(rows) + int(dropped[1]) == 5
    assert all(float(low) <= float(gain) <= float(high) for _, gain, low, high, _ in rows)
    assert re.search(r"^images +300$", result.stdout, re.MULTILINE)
    assert "of 1800 (" in result.stdout
    assert "the first 2 and their order are what all decodes give: about 95 %" in result.stdout
    assert "a has no active variable: over 300 images no code varies by more" in result.stderr


def test_json_is_one_object_with_all_variables(workdir):
    found = json.loads(run("a.safetensors", "--data", "few.npy", "--json").stdout)
    assert len(found["leading"]) == 5  # All that the space has.
    assert sorted(one["variable"] for one in found["variables"]) == list(range(5))
    assert found["record"]["seed"] == 0
    assert found["exhaustive_decodes"] == 1800
    assert found["reference"] == "a.safetensors"


def test_all_decodes_give_the_order_of_the_gains(workdir):
    every = json.loads(run("a.safetensors", "--data", "few.npy", "--exhaustive", "--json").stdout)
    gains = [one["gain"] for one in every["variables"]]
    assert gains == sorted(gains, reverse=True)
    assert every["confidence"] == 1
    assert every["decodes"] == 1800
    raced = json.loads(run("a.safetensors", "--data", "few.npy", "--json").stdout)
    assert raced["leading"] == every["leading"]


def test_figures_are_written(workdir):
    words = ("a.safetensors", "--data", "few.npy", "--variables", 3)
    result = run(*words, "--figures", "mean")
    assert "wrote mean/gains.png" in result.stdout
    assert "wrote mean/traversals.png" in result.stdout
    assert picture("mean/gains.png").shape[1] > 500
    run(*words, "--figures", "one", "--at", "17")
    mean, one = picture("mean/traversals.png"), picture("one/traversals.png")
    assert mean.shape == one.shape
    assert mean.shape[0] == 3 * 96 + 2 * 4
    assert not np.array_equal(mean, one)


def test_outputs_are_checked_before_any_work(workdir, monkeypatch):
    words = ("a.safetensors", "--data", "few.npy")
    for name in ("gains", "traversals"):
        (workdir / name).mkdir()
        (workdir / name / f"{name}.png").write_bytes(b"precious")
        assert f"{name}/{name}.png exists" in refusal(*words, "--figures", name)
        assert [path.name for path in (workdir / name).iterdir()] == [f"{name}.png"]
    assert "the folder of nowhere/figures does not exist" in refusal(
        *words, "--figures", "nowhere/figures"
    )
    assert "'few.npy' is a file" in refusal(*words, "--figures", "few.npy", code=2)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "this figure needs matplotlib" in refusal(*words, "--figures", "figures")
    assert not (workdir / "figures").exists()
    assert not (workdir / "latentmap-cache").exists()


def test_bad_requests_are_refused_before_any_work(workdir):
    words = ("a.safetensors", "--data", "few.npy")
    message = refusal(*words, "-k", 6)
    assert "a has 5 latent variables, so 1 to 5 of them can lead, not 6" in message
    assert "--at is where traversals start" in refusal(*words, "--at", "0", code=2)
    message = refusal(*words, "--figures", "t", "--at", "nobody")
    assert "none of the 300 images of few.npy is called 'nobody'" in message
    assert not (workdir / "latentmap-cache").exists()


def test_a_traversal_cannot_start_at_an_image_that_could_not_be_read(workdir):
    folder = workdir / "folder"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"nothing")
    words = ("a.safetensors", "--data", "folder", "--on-error", "skip", "--figures", "t")
    result = run(*words, "--at", "broken.png", code=1)
    assert "broken.png could not be read, so it has no code" in result.stderr


def test_one_image_is_not_enough(workdir):
    message = run("a.safetensors", "--data", "few.npy", "--limit", 1, code=1).stderr
    assert "at least 2 images with codes, not 1" in message


@pytest.mark.parametrize("size", [1, 50])
def test_the_batch_size_does_not_change_the_order(workdir, size):
    words = ("b.safetensors", "--data", "few.npy", "--limit", 40, "--json")
    first, second = (json.loads(run(*words, *more).stdout) for more in ((), ("--batch-size", size)))
    assert first["leading"] == second["leading"]


def test_the_center_of_a_variable_is_its_mean_or_the_published_zero(workdir):
    words = ("a.safetensors", "--data", "few.npy", "--exhaustive", "--json")
    mean, zero = (json.loads(run(*words, "--center", one).stdout) for one in ("mean", "zero"))
    assert json.loads(run(*words).stdout)["variables"] == mean["variables"]
    assert {one["center"] for one in zero["variables"]} == {0}
    assert all(one["center"] != 0 for one in mean["variables"])
    assert [one["record"]["centered_on"] for one in (mean, zero)] == ["mean", "zero"]


def test_centers_are_those_of_the_library():
    assert sector_options.CENTERS == CENTERS
