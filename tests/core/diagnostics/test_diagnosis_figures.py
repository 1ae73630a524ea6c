from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.diagnostics import diagnose, diagnosis_figures
from latentmap.diagnostics.diagnosis_figures import (
    examples_grid,
    examples_of,
    scatter_plot,
)
from latentmap.diagnostics.diagnosis_section import diagnosis_section
from latentmap.diagnostics.several import Diagnoses
from latentmap.images import open_images
from latentmap.model import Posterior
from latentmap.model.testing import LinearModel
from latentmap.report import save_figure
from latentmap.report.parts import Table
from latentmap.report.pictures import ImageRows, Picture


class Half(LinearModel):
    """Half of its variables say nothing."""

    def _posterior(self, images):
        posterior = super()._posterior(images)
        mean, variance = posterior.mean.clone(), posterior.variance.clone()
        mean[:, ::2] = 0.25 + 1e-3 * mean[:, ::2]
        variance[:, ::2] = 1
        return Posterior(mean, variance)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("figures") / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (90, 4, 4), dtype=np.uint8))
    return open_images(path)


@pytest.fixture(scope="module")
def models():
    return [Half(name="half"), LinearModel(name="full", image_shape=(1, 6, 6))]


@pytest.fixture(scope="module")
def found(images, models):
    results = [diagnose(model, images) for model in models]
    return Diagnoses(results, ["dense", "other"])


def test_a_diagnosis_ends_with_what_is_inactive_and_what_matters(found):
    half, full = (str(one).splitlines()[-1] for one in found.results)
    assert half.startswith("2 of 4 variables are inactive (0, 2); the images lose most without ")
    assert full.startswith("None of the 4 variables is inactive; the images lose most without ")


def test_examples_are_without_the_inactive_variables(images, models, found):
    half, full = (
        examples_of(model, images, one, n=5)
        for model, one in zip(models, found.results, strict=True)
    )
    codes = models[0].posterior(half.originals).mean
    torch.testing.assert_close(half.reconstructions, models[0].decode(codes))
    moved = codes.clone()
    moved[:, ::2] = torch.from_numpy(found.results[0].values("mean")).float()[::2]
    torch.testing.assert_close(half.without, models[0].decode(moved))
    assert (half.without != half.reconstructions).any()
    assert [label for label, _ in half.rows()] == [
        "images",
        "by half",
        "without 2 inactive variables",
    ]
    assert [label for label, _ in full.rows()] == ["images", "by full"]
    assert full.originals.shape == (5, 1, 6, 6)
    both, one = (examples_grid(some).picture().height for some in ([half, full], [full]))
    assert both > 2 * one


def test_images_are_shown_once_for_models_that_see_them_alike(images, models, found, monkeypatch):
    shown = []
    monkeypatch.setattr(diagnosis_figures, "image_grid", shown.append)
    half, full = (
        examples_of(model, images, one, n=5)
        for model, one in zip(models, found.results, strict=True)
    )
    examples_grid([half, replace(half, name="other"), full, half])
    assert [label for label, _ in shown[0]] == [
        *("images", "by half", "without 2 inactive variables"),
        *("by other", "without 2 inactive variables"),
        *("images", "by full"),
        *("images", "by half", "without 2 inactive variables"),
    ]


def test_one_seed_draws_the_same_examples(images, models, found):
    one, same, other = (
        examples_of(models[0], images, found.results[0], n=5, seed=seed).originals
        for seed in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_several_models_are_a_row_each(found):
    lines = str(found).splitlines()
    assert [line.split()[:6] for line in lines[1:3]] == [
        ["half", "dense", "90", "2", "of", "4"],
        ["full", "other", "90", "4", "of", "4"],
    ]
    # It has no inactive variable, which the last part of the table says.
    assert [line for line in lines if line.startswith("full")][-1].split()[-1] == "-"
    records = found.to_json()
    assert [one["architecture"] for one in records] == ["dense", "other"]
    assert records[0]["mse"] == found.results[0].mse.value
    assert repr(found) == "<Diagnoses of half, full>"


def test_the_scatter_has_the_points_and_the_diagonal(found, tmp_path):
    save_figure(scatter_plot(found), tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as written:
        drawn = np.asarray(written.convert("RGB")).astype(int)
    blue = (np.abs(drawn - [0x00, 0x72, 0xB2]).sum(-1) < 30).sum()
    grey = (np.abs(drawn - 0x7F).sum(-1) < 30).sum()
    assert blue > 50 and grey > 50
    assert np.array_equal(np.asarray(scatter_plot(found).picture()), drawn)


def test_a_section_shows_one_model_in_full_and_several_in_one_table(images, models, found):
    only = Diagnoses(found.results[:1], ["dense"])
    examples = [examples_of(models[0], images, found.results[0])]
    section = diagnosis_section(only, examples, {"seed": 0, "command": "one"})
    tables = [block.title for block in section.blocks if isinstance(block, Table)]
    assert tables == ["Variables", "Active variables", "All variables"]
    (rows,) = [block for block in section.blocks if isinstance(block, ImageRows)]
    assert len(rows.rows) == 3
    both = diagnosis_section(found, [], {"seed": 0}, scatter=scatter_plot(found))
    assert [type(block) for block in both.blocks] == [Table, Picture]
    # The command is no part of what a result is.
    again = diagnosis_section(only, examples, {"seed": 0, "command": "other"})
    assert section.id == again.id != both.id
