"""Gates of a VAE's variables: the gradient, the multiplier, and what is left at the end."""

import functools
import itertools
import json
import math
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.diagnostics.traces import Trace
from latentmap.encoders import load
from latentmap.encoders.native import read_header
from latentmap.encoders.training import gated as gated_recipe
from latentmap.encoders.training import runs
from latentmap.encoders.training.gated import GatedNetwork, GatedRecipe, arm_gradient
from latentmap.encoders.training.loop import CHECKPOINT, LOG
from latentmap.encoders.training.narrowing import gates_record, without_closed
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import working_folder
from latentmap.encoders.training.tracing import Tracing
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.encoders.vae import VAEModel
from latentmap.errors import ModelError
from latentmap.images import open_images
from latentmap.model.testing import check_model
from tests.encoders.test_training import tensors_of

# What a run goes on from is looked at here, after its end too.
Run = functools.partial(runs.Run, keep_checkpoint=True)

DENSE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 4, "widths": [16]}
SPLIT = {"image_shape": [1, 8, 8], "latent_dim": 4, "width": 2, "embedding": 8}
# So large a tau that gates may close as soon as the average says that the error is below it.
SETTINGS = VAESettings("vae", DENSE, epochs=8, batch_size=16, learning_rate=1e-3, tau=60.0, seed=7)


@pytest.fixture
def images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", np.sort(pixels, axis=2))
    return open_images(tmp_path / "images.npy")


def model_of(config=DENSE):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAEModel(config)


def gated(logits=(3.0, 3.0, 3.0, 3.0)):
    network = GatedNetwork(model_of().network.requires_grad_(True))
    with torch.no_grad():
        network.gates.copy_(torch.tensor(logits))
    return network


def batch(n=16):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_gradient_is_that_of_the_mean_over_all_gates():
    logits = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    probability = logits.sigmoid()
    generator = torch.Generator().manual_seed(0)
    # Any function of three gates is these eight numbers.
    losses = torch.randn(2, 2, 2, generator=generator, dtype=torch.float64)
    mean = torch.zeros((), dtype=torch.float64)
    for nu in itertools.product((0, 1), repeat=3):
        chance = torch.stack([p if on else 1 - p for p, on in zip(probability, nu, strict=True)])
        mean = mean + chance.prod() * losses[nu]
    (exact,) = torch.autograd.grad(mean, logits)
    n = 400_000
    uniform = torch.rand(n, 3, generator=generator, dtype=torch.float64)

    def loss(gates):
        return losses[tuple(gates.long().T)]

    p = probability.detach()
    one, other = loss(uniform < p), loss(uniform > 1 - p)
    found = arm_gradient(uniform, one, other)
    error = ((other - one)[:, None] * (uniform - 0.5)).std(0) / math.sqrt(n)
    assert bool(((found - exact).abs() < 4 * error).all())
    assert bool((exact.abs() > 10 * error).any())
    # The draws the other way round would be the opposite gradient.
    assert not bool(((arm_gradient(uniform, other, one) - exact).abs() < 4 * error).all())


def test_a_step_gives_the_gates_the_gradient_by_hand():
    network = gated((0.3, -0.4, 1.0, 0.0))
    recipe = GatedRecipe(network, tau=1e9, learning_rate=1e-3)
    recipe.state["closing"] |= True
    recipe.state["multiplier"].fill_(2.0)
    before = GatedNetwork(model_of().network)
    x = batch()
    torch.manual_seed(5)
    mean, log_variance = before.encode(x)
    z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
    uniform = torch.rand(16, 4)
    p = torch.tensor([0.3, -0.4, 1.0, 0.0]).sigmoid()
    excess = 0.99 * 0.05 - 0.01 * (1 - 1e-9)
    multiplier = 2.0 * math.exp(0.01 * excess)
    errors = [
        (before.inner.decode(z * gates) - x).square().flatten(1).sum(1)
        for gates in (uniform < p, uniform > 1 - p)
    ]
    difference = (errors[1] - errors[0])[:, None] * (uniform - 0.5)
    expected = multiplier * difference.mean(0) + 5 * p * (1 - p)
    torch.manual_seed(5)
    recipe.step(x, 0)
    torch.testing.assert_close(network.gates.grad, expected, rtol=1e-4, atol=1e-5)
    kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1).mean()
    loss = float(kl + multiplier * errors[0].mean())
    figures = recipe.figures()
    assert figures["loss"] == pytest.approx(loss, rel=1e-4)
    assert figures["error"] == pytest.approx(float(errors[0].mean()), rel=1e-4)
    assert figures["error"] == pytest.approx(64 * figures["mse"], rel=1e-5)
    assert figures["multiplier"] == pytest.approx(multiplier, rel=1e-5)


@pytest.mark.parametrize(("closing", "most"), [(False, 0.05), (True, 0.2)])
def test_the_multiplier_follows_the_excess_by_hand(closing, most):
    recipe = GatedRecipe(gated(), tau=10.0)
    recipe.state["closing"] |= closing
    excess, multiplier = 0.05, 2.0
    # The error of a batch, in taus; more than 1 + most counts as that.
    for factor in (7.0, 1.1, 0.5, 0.2):
        squared = torch.full((3, 1, 8, 8), 10.0 * factor / 64)
        recipe._balance(squared)
        excess = 0.99 * excess + 0.01 * min(factor - 1, most)
        multiplier *= math.exp(0.01 * excess)
        assert float(recipe.state["multiplier"]) == pytest.approx(multiplier, rel=1e-6)
        assert float(recipe.state["gamma2"]) == pytest.approx(1 / (2 * multiplier), rel=1e-6)
    for start, squared, end in ((1e6, 9.0, 1e6), (1e-4, 0.0, 1e-4)):
        recipe.state["multiplier"].fill_(start)
        recipe.state["excess"].fill_(0.05 if squared else -1.0)
        recipe._balance(torch.full((3, 1, 8, 8), squared))
        assert float(recipe.state["multiplier"]) == pytest.approx(end)


def test_gates_stay_open_until_the_error_falls_below_tau():
    network = gated((0.0, 0.0, 0.0, 0.0))
    recipe = GatedRecipe(network, tau=1e-3)
    for index in range(5):
        recipe.step(batch(), index)
    assert network.gates.detach().tolist() == [0.0] * 4
    recipe = GatedRecipe(network, tau=1e9)
    while not recipe.state["closing"]:
        assert network.gates.detach().tolist() == [0.0] * 4
        recipe.step(batch(), 0)
    for _ in range(200):
        recipe.step(batch(), 0)
    # Nothing holds them: the penalty alone moves them, by its own rate.
    assert float(network.gates.detach().max()) < -1.0
    assert recipe.figures()["open_gates"] == 1  # The last is never closed.


def test_any_tau_above_zero_is_one():
    assert GatedRecipe(gated(), tau=1e-300).state["multiplier"] == pytest.approx(1e6)


def test_open_are_the_gates_that_are_more_likely_so():
    assert gated((0.1, -0.1, 5.0, 0.0)).open.tolist() == [True, False, True, True]
    assert gated((-3.0, -1.0, -1.0, -9.0)).open.tolist() == [False, True, False, False]


@pytest.mark.parametrize(("family", "config"), [("vae", DENSE), ("split-vae", SPLIT)])
def test_what_is_written_decodes_as_the_network_with_its_gates(
    tmp_path, images, monkeypatch, family, config
):
    monkeypatch.setattr(gated_recipe, "_RATE", 0.5)
    monkeypatch.setattr(gated_recipe, "_EXCESS", 0.0)
    settings = replace(SETTINGS, family=family, config=config, normalise=False, epochs=4)
    made = train_on_images(images, settings, Run(tmp_path / "a.safetensors"))
    said = read_header(tmp_path / "a.safetensors").training["gates"]
    assert 1 <= made.latent_dim == len(said["open"]) < said["latent_dim"] == 4
    assert made.fingerprint == load(tmp_path / "a.safetensors").fingerprint
    check_model(made)
    trained = tensors_of(working_folder(tmp_path / "a.safetensors") / CHECKPOINT)
    logits = trained["network.gates"]
    assert (
        said["open"] == np.flatnonzero(logits.numpy() >= logits.clamp(max=0).max().item()).tolist()
    )
    x = torch.stack([torch.from_numpy(images.read(i)) for i in range(70)]).permute(0, 3, 1, 2) / 255
    error = (made.decode(made.encode(x)) - x).square().flatten(1).sum(1).mean()
    assert said["error"] == pytest.approx(float(error), rel=1e-4)
    assert said["mse"] == pytest.approx(float(error) / 64, rel=1e-4)
    assert said["tau_mse"] == pytest.approx(60 / 64)
    assert said["reached"] is True


def test_closed_variables_are_left_out_at_zero():
    model, network = model_of(), gated((1.0, -1.0, 1.0, -1.0))
    smaller = without_closed(model, network)
    codes = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        smaller.decode(codes[:, [0, 2]]), network.decode(codes), rtol=0, atol=1e-6
    )
    said = gates_record(model, network, 1e-3, [batch()])
    assert said["reached"] is False
    assert said["open"] == [0, 2]


class Stop(Exception):
    pass


def test_a_resumed_run_equals_the_uninterrupted_one_with_its_trace(tmp_path, images):
    def stop_at(count):
        def progress(done, total):
            if done >= count:
                raise Stop

        return lambda name, unit="images": nullcontext(progress if name == "training" else None)

    def train(name, **run):
        path = tmp_path / f"{name}.safetensors"
        watch = Tracing(tmp_path / f"{name}.trace", images=2)
        return train_on_images(images, SETTINGS, Run(path, **run), watch=watch)

    whole = train("whole")
    for steps in (6, 27):
        with pytest.raises(Stop):
            train("cut", resume=steps > 6, stage=stop_at(steps * 16))
    assert train("cut", resume=True).fingerprint == whole.fingerprint
    first, second = (
        tensors_of(working_folder(tmp_path / f"{name}.safetensors") / CHECKPOINT)
        for name in ("whole", "cut")
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    traces = [Trace.load(tmp_path / f"{name}.trace") for name in ("whole", "cut")]
    assert traces[0].steps.gates.shape == (len(traces[0].steps.number), 4)
    for name in ("gates", "multiplier"):
        np.testing.assert_array_equal(*(getattr(trace.steps, name) for trace in traces))
    assert (traces[0].steps.gates[-1] != traces[0].steps.gates[0]).all()


def test_the_log_tells_error_multiplier_and_open_gates(tmp_path, images):
    train_on_images(images, SETTINGS, Run(tmp_path / "a.safetensors"))
    folder = working_folder(tmp_path / "a.safetensors")
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    for line in lines:
        assert line["error"] == pytest.approx(64 * line["mse"], rel=1e-5)
        assert 1 <= line["open_gates"] <= 4
        assert line["multiplier"] == pytest.approx(1 / (2 * line["gamma"] ** 2), rel=1e-5)
    assert len(list(folder.glob("epoch-*.png"))) == 8


def test_tau_per_pixel_is_the_same_tau(tmp_path, images):
    settings = replace(SETTINGS, tau=None, tau_mse=60 / 64)
    one = train_on_images(images, SETTINGS, Run(tmp_path / "a.safetensors"))
    other = train_on_images(images, settings, Run(tmp_path / "b.safetensors"))
    assert one.fingerprint == other.fingerprint


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ModelError, match="tau is one limit, of an image or per pixel"):
        replace(SETTINGS, tau_mse=0.1)
    with pytest.raises(ModelError, match="by tau: leave gamma out"):
        replace(SETTINGS, gamma=1.0)
    with pytest.raises(ModelError, match="tau must be above 0, not 0"):
        replace(SETTINGS, tau=0)
