"""Commands about variables on spatial codes, which have channels in their place."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main
from latentmap.encoders import references
from tests.core.grids import Blind, Grid

DATA = ("--data", "few.npy")


def load_grid(given):
    return Grid(name=given.text)


def load_blind(given):
    return Blind(name=given.text)


@pytest.fixture(autouse=True)
def pictures(tmp_path, monkeypatch):
    """Sixty grey pictures of 8x8 pixels, and the references ``grid:`` and ``blind:``."""
    for name in ("grid", "blind"):
        monkeypatch.setitem(references.SCHEMES, name, f"tests.cli.test_spatial_codes:load_{name}")
    generator = np.random.default_rng(0)
    wholes = generator.uniform(0, 1, (60, 2, 2))
    pixels = 60 * np.tile(wholes, (1, 4, 4)) + 60 * generator.uniform(0, 1, (60, 8, 8))
    np.save(tmp_path / "few.npy", pixels.astype(np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    if code:
        assert result.stderr.splitlines()[-1].startswith("Error: ")
    return result


def test_channels_are_ordered_and_drawn(pictures):
    result = run("support", "order", "grid:a", *DATA, "-k", "2", "--figures", "order")
    assert result.stdout.splitlines()[3].startswith("channel")
    assert "of 4 channels" in result.stdout
    for name in ("gains", "traversals"):
        with Image.open(pictures / "order" / f"{name}.png") as picture:
            assert picture.width > 50
    found = json.loads(run("support", "order", "grid:a", *DATA, "--json").stdout)
    assert (found["what"], found["by"], len(found["variables"])) == ("channel", "gain", 4)
    assert len(found["leading"]) == 4


def test_an_encoder_alone_is_ordered_by_variance(pictures):
    result = run("support", "order", "blind:a", *DATA, "-k", "2", "--figures", "order")
    assert "the model has no decoder, so there is no gain of images" in result.stdout
    assert [path.name for path in (pictures / "order").iterdir()] == ["gains.png"]
    refused = run("support", "order", "blind:a", *DATA, "--exhaustive", code=2)
    assert "--exhaustive has no effect of blind:a, which has no decoder" in refused.stderr


@pytest.mark.parametrize("model", ["grid:a", "blind:a"])
def test_a_set_of_channels_is_built_and_shown(model, pictures):
    build = ("support", "build", model, *DATA, "-k", "2", "-n", "8", "--out", "set.h5")
    result = run(*build, "--with-images")
    assert "leading channels" in result.stdout
    run("support", "show", "set.h5", "--figures", "shown", "--report", "report")
    assert "leading channels" in (pictures / "report" / "index.html").read_text()
    assert "by their means over positions" in (pictures / "report" / "index.html").read_text()
    assert (pictures / "shown" / "sectors.png").exists()
    fitted = run("fit", "--src", model, "--dst", "grid:b", *DATA, "--support", "set.h5")
    assert "R2" in fitted.stdout


def test_what_channels_do_not_have_is_refused():
    build = ("support", "build", "grid:a", *DATA, "--out", "set.h5")
    assert "channel means of grid:a" in run(*build, "--center", "zero", code=1).stderr
    assert "there is no variable 40" in run(*build, "--leading", "1,40", code=1).stderr
    assert "fewer than 9 leading ones" in run(*build, "-k", "9", code=1).stderr


def test_sets_are_compared_by_maps_of_patches():
    models = ("--src", "grid:a", "--dst", "grid:b", *DATA)
    words = ("--members", "8", "--draws", "2", "-k", "2", "--strategies", "sectors", "--json")
    found = json.loads(run("support", "compare", *models, *words).stdout)
    assert found["all_r2"] == pytest.approx(1, abs=1e-3)
