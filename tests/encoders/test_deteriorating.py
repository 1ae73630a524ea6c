"""Variables that are deteriorated: the plan, what a step does, and the whole run."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.diagnostics import diagnose
from latentmap.diagnostics.deteriorated import (
    AFTER,
    BEFORE,
    GROWING,
    WITHOUT,
    deteriorated_in,
    deteriorated_plot,
)
from latentmap.diagnostics.trace_section import trace_section
from latentmap.diagnostics.traces import Trace
from latentmap.encoders import build, load
from latentmap.encoders.native import read_header, save_model
from latentmap.encoders.training.deteriorating import DeterioratingRecipe, Plan
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import Run
from latentmap.encoders.training.train_deteriorated import Deterioration, deteriorate
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.errors import ModelError
from latentmap.images import open_images
from latentmap.model import Mixture
from latentmap.report import save_figure
from latentmap.report.page import render
from latentmap.report.parts import Report
from tests.encoders.stages import during

CONFIG = {"architecture": "dense", "image_shape": [1, 4, 4], "latent_dim": 4, "widths": [16]}
SPLIT = {"image_shape": [1, 8, 8], "latent_dim": 3, "width": 2, "embedding": 8}
TRAINED = VAESettings("vae", CONFIG, epochs=40, batch_size=20, learning_rate=5e-3)
ASKED = Deterioration(noise_step=1.5, growing=6, after=2, recovery=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two factors, of which a VAE of four variables uses two, and that VAE."""
    folder = tmp_path_factory.mktemp("vae")
    chance = np.random.default_rng(0)
    across, up = chance.random((2, 400, 1))
    one, other = (np.outer(*parts).ravel() for parts in ((range(4), [1] * 4), ([1] * 4, range(4))))
    pixels = (across * one + up * other) * 255 / 6
    np.save(folder / "images.npy", pixels.reshape(-1, 4, 4).astype(np.uint8))
    train_on_images(source(folder), TRAINED, Run(folder / "vae.safetensors"))
    return folder


def source(folder):
    return open_images(folder / "images.npy", notify=lambda _: None)


def carry_out(folder, tmp_path, name="a", asked=ASKED, *, resume=False, **run):
    told = []
    goal = Run(tmp_path / f"{name}.safetensors", resume=resume, **run)
    path = tmp_path / f"{name}.trace"
    model = deteriorate(
        folder / "vae.safetensors", source(folder), asked, goal, trace=path, notify=told.append
    )
    return model, Trace.load(path), told


def rows(*parts):
    return torch.tensor(parts, dtype=torch.float64)


def test_noise_grows_stays_and_goes():
    plan = Plan(0.5, growing=3, after=1, recovery=2)
    above = [(0, 9, 1), (0.5, 8, 1), (1.0, 7, 1)]
    assert plan.epochs == 6
    assert [plan.next_noise(rows(*above[:k])) for k in (1, 2, 3)] == [0.5, 1.0, 1.5]
    # Below after two epochs: one more as noisy, two without.
    course = [*above[:2], (1.0, 0.5, 1)]
    expected = [1.0, 0.0, 0.0, None]
    for noise in expected:
        assert plan.next_noise(rows(*course)) == noise
        course.append((noise or 0.0, 5, 1))
    # Never below: it grows no more after three epochs.
    course = [*above, (1.5, 6, 1)]
    assert plan.next_noise(rows(*course)) == 1.5
    # What was below its cost without noise tells nothing of noise.
    assert plan.next_noise(rows((0, 0, 1), (0.5, 8, 1))) == 1.0


def fresh(config=CONFIG, family="vae", inactive=(1, 3), variable=0):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(family, config).network.requires_grad_(True)
    plan = Plan(0.5, growing=3, after=1, recovery=2)
    return DeterioratingRecipe(
        network,
        plan,
        variable=variable,
        inactive=inactive,
        learning_rate=1e-2,
        beta=2.0,
        gamma=0.3,
    )


@pytest.mark.parametrize(
    ("family", "config", "inactive"), [("vae", CONFIG, (1, 3)), ("split-vae", SPLIT, (2,))]
)
def test_inactive_variables_are_the_prior_and_stay_so_to_the_bit(family, config, inactive):
    recipe = fresh(config, family, inactive)
    network, chosen = recipe.network, list(inactive)
    images = torch.rand(20, *config["image_shape"], generator=torch.Generator().manual_seed(1))
    recipe.measure([images])
    before = network.reader.weight.clone()
    for step in range(5):
        recipe.start_epoch()
        recipe.step(images, step)
    assert not torch.equal(before, network.reader.weight)
    assert not network.reader.weight[:, chosen].any()
    mean, log_variance = network.encode(images)
    assert not mean[:, chosen].any()
    assert not log_variance[:, chosen].any()


def test_gain_and_cost_are_those_of_the_loss_by_hand():
    recipe = fresh()
    recipe.state["noise"] = torch.tensor(0.7)
    images = torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        mean, log_variance = recipe.network.encode(images)
        own, added = torch.randn(2, 30, 4, generator=torch.Generator().manual_seed(0))
        codes = mean + log_variance.div(2).exp() * own
        codes[:, [1, 3]] = 0
        without = codes.clone()
        without[:, 0] = mean[:, 0].mean()
        codes[:, 0] += 0.7 * added[:, 0]
        lost, kept = ((recipe.network.decode(z) - images) ** 2 for z in (without, codes))
    gain = float((lost.sum() - kept.sum()) / 30 / (2 * 0.3**2))
    variance = log_variance[:, 0].exp()
    kl = 0.5 * (mean[:, 0] ** 2 + variance - log_variance[:, 0] - 1).mean()
    found = recipe.measure([images[:16], images[16:]])
    assert float(found["noise"]) == pytest.approx(0.7)
    assert float(found["gain_nats"]) == pytest.approx(gain, rel=1e-4)
    assert float(found["cost_nats"]) == pytest.approx(2 * float(kl), rel=1e-4)


def test_noise_is_added_to_one_variable_alone():
    recipe = fresh()
    recipe.state["noise"] = torch.tensor(3.0)
    codes = torch.ones(4000, 4)
    sent = recipe.sent(codes)
    assert torch.equal(sent[:, 2], codes[:, 2])
    assert not sent[:, [1, 3]].any()
    assert float(sent[:, 0].std()) == pytest.approx(3.0, rel=0.05)


def test_a_variable_loses_its_gain_and_gets_it_back(folder, tmp_path):
    model, trace, told = carry_out(folder, tmp_path)
    found = deteriorated_in(trace)
    assert found is not None
    base = load(folder / "vae.safetensors")
    settings = trace.record["settings"]
    assert settings["base"] == base.fingerprint
    assert trace.record["model_fingerprint"] == model.fingerprint
    assert settings["gamma"] == read_header(folder / "vae.safetensors").training["figures"]["gamma"]
    (line,) = told
    assert line.startswith(f"variable {found.variable} of vae: ")
    seen = diagnose(base, source(folder)).values("mean_variance")
    assert settings["inactive"] == np.flatnonzero(seen <= 0.05).tolist() != []
    crossing = found.crossing
    assert crossing is not None
    assert found.phases == (BEFORE, *[GROWING] * crossing, *[AFTER] * 2, *[WITHOUT] * 3)
    np.testing.assert_allclose(
        found.noise[: crossing + 1], 1.5 * np.arange(crossing + 1), rtol=1e-6
    )
    ends = found.ends
    assert found.gain[0] > 10 * found.cost[0]
    # The network escapes from the noise, and pays for it with divergence.
    assert found.mean_variance[ends[AFTER]] > found.mean_variance[0]
    assert found.cost[crossing] > found.cost[0]
    assert found.gain[ends[AFTER]] < found.gain[0] / 5
    assert found.gain[ends[WITHOUT]] > 0.9 * found.gain[0]
    inactive = settings["inactive"]
    assert not trace.epochs.mean_variance[:, inactive].any()
    assert not trace.epochs.kl[:, inactive].any()
    assert not trace.epochs.gain[:, inactive].any()


def test_a_run_that_was_killed_goes_on_to_the_same_trace(folder, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done >= 70 * 20:  # Within the fourth epoch of 20 steps.
            raise Stop

    whole, expected, _ = carry_out(folder, tmp_path, "whole")
    with pytest.raises(Stop):
        carry_out(folder, tmp_path, "cut", stage=during("training", stop))
    for _ in range(2):  # And once more, when it has ended.
        model, trace, _ = carry_out(folder, tmp_path, "cut", resume=True)
        assert model.fingerprint == whole.fingerprint
        for part in ("steps", "epochs", "paths"):
            for name, values in vars(getattr(expected, part)).items():
                np.testing.assert_array_equal(values, getattr(getattr(trace, part), name))


def test_another_variable_or_seed_is_not_resumed(folder, tmp_path):
    asked = replace(ASKED, growing=1, after=0, recovery=0)
    carry_out(folder, tmp_path, asked=asked)
    with pytest.raises(ModelError, match=r"noise_step was 1\.5, not 0\.7"):
        carry_out(folder, tmp_path, asked=replace(asked, noise_step=0.7), resume=True)


def test_a_gain_that_stays_above_ends_the_growth(folder, tmp_path):
    asked = Deterioration(noise_step=0.01, growing=2, after=1, recovery=1)
    _, trace, _ = carry_out(folder, tmp_path, asked=asked)
    found = deteriorated_in(trace)
    assert found.crossing is None
    assert found.phases == (BEFORE, GROWING, GROWING, AFTER, WITHOUT)
    assert "never fell below its KL in 2 epochs of noise" in found.in_words()


def test_a_prior_of_its_own_is_left_out_and_said(folder, tmp_path):
    whole = load(folder / "vae.safetensors")
    whole.prior = Mixture.normal(torch.ones(4, dtype=torch.float64), torch.eye(4).double())
    training = read_header(folder / "vae.safetensors").training
    save_model(whole, tmp_path / "vae.safetensors", training=training)
    np.save(tmp_path / "images.npy", np.load(folder / "images.npy"))
    model, _, told = carry_out(tmp_path, tmp_path, asked=replace(ASKED, growing=1, after=0))
    assert model.prior is None and load(tmp_path / "a.safetensors").prior is None
    (_, line) = told
    assert "a.safetensors is without the prior of vae, a normal distribution, which was" in line


def test_figure_table_and_page_show_the_phases(folder, tmp_path):
    _, trace, _ = carry_out(folder, tmp_path, asked=replace(ASKED, growing=2, after=1, recovery=1))
    found = deteriorated_in(trace)
    assert [row.cells[0] for row in found.table().rows] == [BEFORE, GROWING, AFTER, WITHOUT]
    save_figure(deteriorated_plot(found), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    page = render(Report("r", [trace_section(trace, None, name="a")]))
    assert f"Variable {found.variable}, at the end of each phase" in page
    assert "Gain and KL of the variable" in page


@pytest.mark.parametrize(
    ("record", "part", "message"),
    [
        ({"settings": {"variable": 4}}, {}, "does not say which variable"),
        ({"settings": {"variable": True}}, {}, "does not say which variable"),
        ({}, {}, "does not say which variable"),
        (None, {"cost_nats": None}, "its gain and cost are missing"),
    ],
)
def test_a_trace_without_its_variable_is_refused(folder, tmp_path, record, part, message):
    _, trace, _ = carry_out(folder, tmp_path, asked=replace(ASKED, growing=1, after=0, recovery=0))
    epochs = replace(trace.epochs, **part)
    known = trace.record if record is None else record
    replace(trace, record=known, epochs=epochs).save(tmp_path / "b.trace")
    with pytest.raises(ModelError, match=message):
        Trace.load(tmp_path / "b.trace")


def test_what_cannot_be_deteriorated_is_refused(folder, tmp_path):
    asked = Deterioration(growing=1, after=0, recovery=0)
    inactive = carry_out(folder, tmp_path, asked=asked)[1].record["settings"]["inactive"][0]
    for variable, message in (
        (4, "vae has no variable 4: its variables are 0 to 3"),
        (inactive, f"variable {inactive} of vae is inactive"),
    ):
        with pytest.raises(ModelError, match=message):
            carry_out(folder, tmp_path, "b", Deterioration(variable=variable))
    assert not (tmp_path / "b.safetensors.training").exists()
    with pytest.raises(ModelError, match="growing must be above 0, not 0"):
        Deterioration(growing=0)


def test_models_that_tell_too_little_or_are_of_others_are_refused(folder, tmp_path):
    def refused(model, record, message, images=None, **asked):
        save_model(model, tmp_path / "other.safetensors", training=record)
        with pytest.raises(ModelError, match=message):
            deteriorate(
                tmp_path / "other.safetensors",
                images or source(folder),
                Deterioration(**asked),
                Run(tmp_path / "b.safetensors"),
                trace=tmp_path / "b.trace",
            )
        assert not (tmp_path / "b.safetensors.training").exists()

    vae = load(folder / "vae.safetensors")
    record = read_header(folder / "vae.safetensors").training
    gan = {"image_shape": [1, 8, 8], "latent_dim": 3, "base": 6, "widths": [4, 4], "norm": "batch"}
    refused(build("gan", gan), {}, "of the family gan: only a VAE or a Split-VAE")
    refused(vae, {}, "does not say with which gamma above 0 it was trained: give --gamma")
    refused(vae, {**record, "figures": {"gamma": math.nan}}, "with which gamma")
    refused(vae, {**record, "penalty": "quadratic"}, "another penalty than the KL divergence")
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8))
    noise = open_images(tmp_path / "noise.npy")
    refused(vae, record, "give the images that it was trained on", noise)
    refused(build("vae", CONFIG), record, "no variable of other is active", gamma=1.0)


def test_images_are_known_by_the_error_of_the_training_where_gamma_was_fixed(folder, tmp_path):
    record = read_header(folder / "vae.safetensors").training
    fixed = {**record, "figures": {**record["figures"], "gamma": record["figures"]["gamma"] / 3}}
    save_model(load(folder / "vae.safetensors"), tmp_path / "fixed.safetensors", training=fixed)
    short = Deterioration(growing=1, after=0, recovery=0)
    goal, trace = Run(tmp_path / "b.safetensors"), tmp_path / "b.trace"
    deteriorate(tmp_path / "fixed.safetensors", source(folder), short, goal, trace=trace)
    assert trace.exists()
