import pytest
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
