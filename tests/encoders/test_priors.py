"""Priors of VAEs: fitted to codes, kept in the file of the model, and drawn from."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from latentmap.diagnostics.dropping import DropOptions
from latentmap.encoders import build, load
from latentmap.encoders.halving import halved
from latentmap.encoders.inverted import add_inversion, unwrap
from latentmap.encoders.native import add_box, read_header, save_model
from latentmap.encoders.nets.inversion import InversionNetwork, default_network
from latentmap.encoders.normalising import rebuilt
from latentmap.encoders.priors import PriorSettings, fit_prior, fit_prior_file
from latentmap.encoders.pruning import prune_file
from latentmap.encoders.renormalising import normalise_file
from latentmap.encoders.training.second_stage import SecondStage, draw_from, train_second_stage
from latentmap.encoders.two_stage import TwoStagePrior
from latentmap.errors import ModelError
from latentmap.images import open_images
from latentmap.model import Posterior, SeenImages

VAE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [8]}
FEW = SecondStage(widths=(16,), steps=150, batch_size=32, learning_rate=1e-2)


def posterior(n=400):
    """Codes on a bent line, the last variable inactive."""
    turn = 6 * torch.rand(n, generator=torch.Generator().manual_seed(0))
    mean = torch.stack([turn.sin(), 2 + turn.cos(), 0.01 * turn], 1)
    return Posterior(mean, torch.tensor([0.01, 0.02, 0.98]).expand(n, 3).contiguous())


@pytest.fixture(scope="module")
def two_stage():
    return train_second_stage(posterior(), FEW)


def law(codes):
    """Mean and mean s2 + Var(mu), by NumPy."""
    mean, variance = codes.mean.double().numpy(), codes.variance.double().numpy()
    return mean.mean(0), variance.mean(0) + mean.var(0)


def with_renormalisation(prior, kind, lost=None):
    lost = prior.lost if lost is None else lost
    return TwoStagePrior(prior.network, prior.widths, prior.moments, lost=lost, renormalise=kind)


def drawn(prior, n=20_000, seed=1):
    return prior.draw(n, torch.Generator().manual_seed(seed)).double().numpy()


def test_codes_of_the_aggregate_posterior_have_its_moments():
    codes = draw_from(posterior(), 50_000, torch.Generator().manual_seed(0)).double()
    mean, variance = law(posterior())
    np.testing.assert_allclose(codes.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(codes.var(0), variance, rtol=0.03)


def test_the_normal_prior_has_the_moments_of_the_aggregate_posterior():
    prior = fit_prior(posterior(), PriorSettings("normal"))
    mean, variance = law(posterior())
    covariance = np.cov(posterior().mean.double().numpy().T, bias=True)
    np.fill_diagonal(covariance, variance)
    codes = drawn(prior, 50_000)
    np.testing.assert_allclose(codes.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(codes.T), covariance, atol=0.02)


def test_renormalised_codes_have_the_moments_of_the_law(two_stage):
    mean, variance = law(posterior())
    codes = drawn(two_stage)
    np.testing.assert_allclose(codes.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(codes.var(0), variance, rtol=0.05)
    np.testing.assert_allclose(two_stage.mean, mean, atol=1e-5)
    # Every code by the same constants, and not by those of its batch.
    few = two_stage.draw(1, torch.Generator().manual_seed(4))
    plain = with_renormalisation(two_stage, "none").draw(1, torch.Generator().manual_seed(4))
    moments = two_stage.moments
    expected = (plain - moments["mean"]) / moments["spread"] * moments["law_spread"]
    torch.testing.assert_close(few, expected + moments["law_mean"])


def test_without_renormalisation_variance_is_lost(two_stage):
    _, variance = law(posterior())
    assert (drawn(with_renormalisation(two_stage, "none")).var(0) < 0.95 * variance).all()


def test_as_published_a_batch_is_multiplied_by_one_number(two_stage):
    generator = torch.Generator().manual_seed(2)
    plain = with_renormalisation(two_stage, "none").draw(200, generator).double()
    scaled = with_renormalisation(two_stage, "as-published", lost=1.0)
    codes = scaled.draw(200, torch.Generator().manual_seed(2)).double()
    for part in (slice(0, 100), slice(100, 200)):
        ratio = codes[part] / plain[part]
        _, variance = law(posterior())
        expected = np.sqrt(variance.mean()) / plain[part].std(0).mean()
        np.testing.assert_allclose(ratio, np.full((100, 3), expected), rtol=1e-4)
    assert len(scaled.draw(7, generator)) == 7
    # A loss of at most a quarter of the error is left as it is.
    little = with_renormalisation(two_stage, "as-published", lost=0.25)
    torch.testing.assert_close(little.draw(200, torch.Generator().manual_seed(2)).double(), plain)


def test_a_second_stage_comes_nearer_to_a_bent_line_than_a_normal_distribution():
    codes = posterior()
    normal = fit_prior(codes, PriorSettings("normal"))
    second = train_second_stage(
        codes, SecondStage(widths=(32,), steps=400, batch_size=64, learning_rate=1e-2)
    )
    away = [np.abs(np.hypot(c[:, 0], c[:, 1] - 2) - 1).mean() for c in map(drawn, (second, normal))]
    assert away[0] < 0.7 * away[1]


def test_the_same_seed_trains_the_same_second_stage(two_stage):
    assert train_second_stage(posterior(), FEW).fingerprint == two_stage.fingerprint
    other = SecondStage(widths=(16,), steps=2, batch_size=32, seed=1)
    assert train_second_stage(posterior(), other).fingerprint != two_stage.fingerprint


def test_an_unknown_renormalisation_is_refused(two_stage):
    with pytest.raises(ModelError, match="renormalised by one of law, as-published, none"):
        with_renormalisation(two_stage, "sometimes")


def test_a_second_stage_takes_a_batch_of_images():
    with pytest.raises(ModelError, match="on the codes of at least 128 images, not 100"):
        fit_prior(posterior(100), PriorSettings("two-stage"))
    with pytest.raises(ModelError, match="a mixture of 60 takes at least 2 images a component"):
        fit_prior(posterior(100), PriorSettings("mixture", 60))
    with pytest.raises(ModelError, match="the codes of at least 2 images, not 1"):
        fit_prior(posterior(1), PriorSettings("normal"))


def model(prior=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = build("vae", VAE, name="one")
    made.prior = prior
    return made


def every_prior(two_stage):
    return [
        fit_prior(posterior(), PriorSettings("mixture", 3)),
        fit_prior(posterior(), PriorSettings("normal")),
        two_stage,
        with_renormalisation(two_stage, "as-published"),
    ]


def test_a_file_keeps_the_prior_and_the_model_stays_the_same(tmp_path, two_stage):
    path = tmp_path / "one.safetensors"
    for prior in every_prior(two_stage):
        save_model(model(prior), path, training={})
        again = load(path)
        assert again.prior is not None
        assert again.prior.fingerprint == prior.fingerprint
        assert again.prior.record == prior.record
        assert again.fingerprint == model().fingerprint
        assert torch.equal(again.sample(20, seed=3), model(prior).sample(20, seed=3))
        assert read_header(path).prior["words"] == str(prior)
        add_box(path, model(), "0,0,1,1")
        assert load(path).prior.fingerprint == prior.fingerprint


def header_of(path):
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        return json.loads(file.metadata()["latentmap"]), tensors


def test_a_file_without_a_prior_is_one_that_older_versions_read(tmp_path):
    path = tmp_path / "one.safetensors"
    save_model(model(), path, training={})
    assert header_of(path)[0]["format"] == 2
    assert load(path).prior is None and read_header(path).prior is None


def test_what_is_made_of_a_model_keeps_its_prior_or_says_that_it_does_not(tmp_path, two_stage):
    path = tmp_path / "one.safetensors"
    images = open_images("digits", limit=30)
    with_prior = model(two_stage)
    assert halved(with_prior).prior is two_stage
    config = default_network("residual", (1, 8, 8), 3, width=2)
    pair = add_inversion(with_prior, InversionNetwork(config, (1, 8, 8), 3), config, name="pair")
    assert unwrap(pair).prior is two_stage
    assert torch.equal(pair.sample(4, truncation=0.5), with_prior.sample(4, truncation=0.5))
    save_model(with_prior, path, training={})
    made = normalise_file(path, images, tmp_path / "normalised.safetensors")
    assert made.dropped_prior == str(two_stage)
    assert load(tmp_path / "normalised.safetensors").prior is None
    small = prune_file(path, images, tmp_path / "small.safetensors", DropOptions(until_mse=1))
    assert small.dropped_prior == small.to_json()["dropped_prior"] == str(two_stage)
    assert small.model.latent_dim < 3
    assert load(tmp_path / "small.safetensors").prior is None


def test_a_model_that_is_rebuilt_is_as_it_was_but_for_its_prior(two_stage):
    one = model(two_stage)
    one.boxes, one.seen = {"ab": "0,0,1,1"}, SeenImages.of(np.zeros((3, 16), np.uint8))
    other = rebuilt(one, one.config, one.network.state_dict())
    assert other.prior is None
    assert (other.fingerprint, other.name, other.frame) == (one.fingerprint, one.name, one.frame)
    assert other.boxes == one.boxes and other.seen is one.seen
    assert torch.equal(other.sample(5, seed=1), model().sample(5, seed=1))


def test_a_prior_is_fitted_to_a_file_and_replaces_another(tmp_path):
    path, out = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    save_model(model(), path, training={"epochs": 3})
    images = open_images("digits", limit=40)
    first = fit_prior_file(path, images, out, PriorSettings("mixture", 2), record={"by": "me"})
    assert first.replaced is None
    assert first.n == 40
    header = read_header(out)
    assert header.training == {"epochs": 3}
    assert header.prior["record"]["by"] == "me"
    assert header.prior["record"]["data"] == images.fingerprint
    again = fit_prior_file(out, images, tmp_path / "x.safetensors", PriorSettings("normal"))
    assert again.replaced == "a mixture of 2 normal distributions"
    gan = build(
        "gan",
        {"image_shape": [1, 8, 8], "latent_dim": 3, "base": 2, "widths": [2]} | {"norm": "batch"},
    )
    save_model(gan, path, training={})
    with pytest.raises(ModelError, match="only a VAE or a Split-VAE has posteriors"):
        fit_prior_file(path, images, out, PriorSettings("normal"), force=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, t: t["prior.mean"].add_(1), "is not the one that was saved: the file is dam"),
        (lambda h, t: t["prior.spread"].neg_(), "cannot be used: spread of a prior is finite"),
        (lambda h, t: t.pop("prior.mean"), "not as it should be"),
        (lambda h, t: t.update({"prior.mean": torch.zeros(())}), "not as it should be"),
        (lambda h, t: t.pop("prior.network.mean.bias"), "this is no two-stage model"),
        (lambda h, t: t["prior.network.mean.bias"].fill_(torch.nan), "weights of a prior are fin"),
        (lambda h, t: h["prior"]["config"].update(widths=[10**9]), "this is no two-stage model"),
        (lambda h, t: h["prior"]["config"].update(widths=[]), "not as it should be|no two-stage"),
        (lambda h, t: h["prior"]["config"].update(lost="x"), "not as it should be"),
        (lambda h, t: h["prior"]["config"].pop("renormalise"), "not as it should be"),
        (lambda h, t: h["prior"].update(kind="flow"), "knows no prior of the kind 'flow'"),
        (lambda h, t: h["prior"].update(kind="mixture"), "its prior has no 'weights'"),
        (lambda h, t: h["prior"].update(words=3), "does not describe its model as it should"),
        (lambda h, t: h.update(prior=3), "does not describe its model as it should"),
        (lambda h, t: h["prior"].update(record=[]), "does not describe its model as it should"),
    ],
)
def test_a_prior_that_is_not_as_it_should_be_is_one_clear_line(
    tmp_path, two_stage, change, message
):
    path = tmp_path / "one.safetensors"
    save_model(model(two_stage), path, training={})
    header, tensors = header_of(path)
    change(header, tensors)
    save_file(tensors, path, metadata={"latentmap": json.dumps(header)})
    with pytest.raises(ModelError, match=message) as raised:
        load(path)
    assert "\n" not in str(raised.value)
