"""The demo, with networks that learn next to nothing: what it leaves, and what it leaves alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from latentmap.cli.main import main
from latentmap.encoders import demo
from latentmap.encoders.training.loop import LOG
from latentmap.scores import FIGURES

MAPS = ("vae-to-split-vae", "split-vae-to-vae")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow: dict[str, dict[str, Any]] = {
        "vae": {"widths": [4, 4, 4]},
        "split-vae": {"width": 2, "embedding": 8},
    }
    settings = {
        name: replace(one, epochs=1, config={**one.config, **narrow[name]})
        for name, one in demo.SETTINGS.items()
    }
    monkeypatch.setattr(demo, "SETTINGS", settings)


def run(out: Path) -> Result:
    return CliRunner().invoke(main, ["demo", "--out", str(out)])


def test_it_leaves_models_maps_pictures_and_scores_and_can_be_run_again(
    tiny, tmp_path, monkeypatch
):
    first = run(tmp_path / "demo")
    assert first.exit_code == 0, first.output
    results = json.loads((tmp_path / "demo" / "results.json").read_text())
    assert tuple(results) == MAPS
    for name in MAPS:
        assert results[name]["m_mse_low"] <= results[name]["m_mse"] <= results[name]["m_mse_high"]
        assert results[name]["n_pairs"] > 1000
        assert (tmp_path / "demo" / f"{name}.safetensors").exists()
        with Image.open(tmp_path / "demo" / f"{name}.png") as picture:
            assert picture.width > picture.height > 3 * 90
        assert f"{name}.png" in first.stdout
    table = (tmp_path / "demo" / "results.md").read_text()
    assert all(f"\n| {figure} " in table for figure in FIGURES)
    assert table in first.stdout
    assert "Try next:" in first.stdout

    log = tmp_path / "demo" / "vae.safetensors.training" / LOG
    trained = json.loads(log.read_text())
    second = run(tmp_path / "demo")
    assert second.stdout == first.stdout
    # It says how fast it was: a second training would differ.
    assert json.loads(log.read_text()) == trained

    # Another seed is another run: nothing of the old one is gone on with.
    changed = {name: replace(one, seed=1) for name, one in demo.SETTINGS.items()}
    monkeypatch.setattr(demo, "SETTINGS", changed)
    third = run(tmp_path / "demo")
    assert third.exit_code == 0, third.output
    assert json.loads(log.read_text()) != trained
    assert third.stdout != first.stdout


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "holds something else than a demo: choose another --out" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file" / "demo")
    assert result.exit_code == 1
    assert "cannot be the demo's folder" in result.stderr
