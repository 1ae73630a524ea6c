import json
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.mapping import LinearMap

MODELS = ["--src", "a.safetensors", "--dst", "b.safetensors", "--data", "few.npy"]


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("command", ["fit", "map methods", "map curve"])
def test_a_patch_of_codes_that_have_no_grid_is_refused_before_anything_is_encoded(command, workdir):
    result = run(*command.split(), *MODELS, "--patch", "3", "--cache", "new", code=1)
    (line,) = result.stderr.splitlines()
    assert "patches are of grids, of codes (c, h, w), and z of a" in line
    assert not (workdir / "new").exists()


def test_a_patch_that_is_none_is_refused():
    assert "'1', '3', '5', 'full'" in run("fit", *MODELS, "--patch", "4", code=2).stderr


def test_flat_codes_have_the_patch_full(workdir):
    run("fit", *MODELS, "--out", "one.safetensors")
    run("fit", *MODELS, "--out", "two.safetensors", "--patch", "full", "--select", "codes")
    one, two = (LinearMap.load(workdir / f"{name}.safetensors") for name in ("one", "two"))
    assert one.digest == two.digest
    assert one.patches is two.patches is None


def test_images_choose_the_penalty(workdir):
    result = run("fit", *MODELS, "--select", "image", "--folds", "2", "--out", "m.safetensors")
    assert "ridge, penalty" in result.stdout
    shown = run("map", "show", "m.safetensors").stdout
    assert "image" in next(line for line in shown.splitlines() if "chosen by" in line)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Sixty grey pictures of 12x12 pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 12, 12), dtype=np.uint8)
    np.save(tmp_path / "few.npy", pixels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_grid_to_grid_every_command_works_or_says_why_not(pictures):
    models = ["--src", "pixels:2", "--dst", "pixels:4", "--size", "12x12", "--data", "few.npy"]
    result = run("fit", *models, "--out", "m.safetensors", "--figure", "f.png")
    assert "patches of 3x3 of 3x3 cells, border replicated" in result.stdout
    assert re.search(r"R2 +1\.000", result.stdout)
    evaluated = run("evaluate", "m.safetensors", "--data", "few.npy").stdout
    assert re.search(r"R2 +1\.000", evaluated)
    run("apply", "m.safetensors", "--data", "few.npy", "--codes-out", "c.npz")
    assert run("map", "show", "m.safetensors").stdout.count("3x3 of 3x3 cells") == 1
    assert json.loads(run("map", "show", "m.safetensors", "--json").stdout)["patches"]["size"] == 3
    lines = [
        run("map", "inverse", "m.safetensors", "--out", "i.safetensors", code=1).stderr,
        run("fit", *models, "--patch", "5", code=1).stderr,
    ]
    assert [len(line.splitlines()) for line in lines] == [1, 1]
    assert "no map of patches: fit one in the other direction, or one of the patch 1" in lines[0]
    assert "larger than the grid of 3x3 cells" in lines[1]
    words = ("--permutations", "19", "--folds", "3", "--figure", "factors.png")
    shared = run("map", "factors", "m.safetensors", "--data", "few.npy", *words).stdout
    assert re.search(r"1 of [0-9]+ variables are shared, p = 0.05", shared)
    run("fit", *models, "--patch", "1", "--select", "image", "--out", "one.safetensors")
    run("map", "inverse", "one.safetensors", "--out", "back.safetensors")
    run("map", "compose", "one.safetensors", "back.safetensors", "--out", "both.safetensors")
    both = LinearMap.load(pictures / "both.safetensors")
    one = LinearMap.load(pictures / "one.safetensors")
    codes = torch.rand(2, one.source.dim)
    assert torch.allclose(both.apply(codes), one.inverse().apply(one.apply(codes)), atol=1e-5)


def test_grids_that_do_not_fold_are_mapped_flat_and_refused_a_patch(pictures):
    models = ["--src", "pixels:2", "--dst", "pixels:5x3", "--size", "12x12", "--data", "few.npy"]
    error = run("fit", *models, "--patch", "1", code=1).stderr
    assert "6x6 and 5x3 do not: fit with the patch full" in error
    assert "patches" not in run("fit", *models, "--out", "m.safetensors").stdout


def test_a_map_of_patches_serves_images_of_other_sizes(pictures):
    models = ["--src", "pixels:2", "--dst", "pixels:4", "--data", "few.npy"]
    run("fit", *models, "--size", "12x12", "--out", "m.safetensors")
    other = ["m.safetensors", "--data", "few.npy", "--size", "20x24"]
    assert re.search(r"R2 +1\.000", run("evaluate", *other).stdout)
    run("apply", *other, "--figure", "a.png", "--codes-out", "c.npz")
    with np.load(pictures / "c.npz") as file:
        assert file["codes"].reshape(len(file["codes"]), -1).shape == (60, 90)
    run("fit", *models, "--size", "12x12", "--patch", "full", "--out", "flat.safetensors")
    other[0] = "flat.safetensors"
    assert "a map of flat codes is of images of one size" in run("evaluate", *other, code=1).stderr
