"""Normalised VAEs: the same images, codes that keep the law of variance, a smaller divergence."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from latentmap.diagnostics import aggregate_posterior, diagnose
from latentmap.encoders import build, load
from latentmap.encoders.gan import GANModel
from latentmap.encoders.halving import halved
from latentmap.encoders.native import is_half, read_header, save_model
from latentmap.encoders.normalising import far_from_prior, normalise, normalised, require_vae
from latentmap.encoders.renormalising import normalise_file
from latentmap.encoders.training import runs
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import working_folder
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.errors import ModelError, OutputError
from latentmap.images import open_images

# What a run goes on from is looked at here, after its end too.
Run = functools.partial(runs.Run, keep_checkpoint=True)

CONV = {"architecture": "conv", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [4, 4]}
SAID = {"data": "other", "held_out": {"own": [0.1, 0.1, 0.1]}}
DENSE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [16]}
BARE = {**DENSE, "widths": []}
SPLIT = {"image_shape": [3, 8, 8], "latent_dim": 3, "width": 2, "embedding": 8}
PUBLISHED = {
    "architecture": "published",
    "image_shape": [3, 8, 8],
    "latent_dim": 3,
    "embedding": 8,
    "encoder_widths": [4, 8],
    "decoder_widths": [8, 4],
}
VAES = [
    ("vae", CONV),
    ("vae", DENSE),
    ("vae", BARE),
    ("split-vae", SPLIT),
    ("split-vae", PUBLISHED),
]
SETTINGS = VAESettings("vae", CONV, epochs=2, batch_size=16, learning_rate=1e-2, seed=7)


def vae(family, config, *, off=True):
    """A VAE with fresh weights, whose codes are moved and stretched unless ``off`` is not set."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(family, config, name="one")
    if off:
        with torch.no_grad():
            model.network.mean.weight.mul_(torch.tensor([[30.0], [0.01], [5.0]]))
            model.network.mean.bias.add_(torch.tensor([2.0, -1.0, 0.0]))
            model.network.log_variance.bias.add_(torch.tensor([1.0, 0.0, -6.0]))
        # A new object, with the fingerprint of these weights.
        model = build(family, config, name="one", weights=model.network.state_dict())
    return model


def pictures(config, n=96):
    return torch.rand(n, *config["image_shape"], generator=torch.Generator().manual_seed(1))


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (70, 8, 8), dtype=np.uint8)
    np.save(path, np.sort(pixels, axis=2))
    return open_images(path)


@pytest.mark.parametrize(("family", "config"), VAES)
def test_codes_keep_the_law_and_images_stay(family, config):
    model, x = vae(family, config), pictures(config)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    given = aggregate_posterior(model, [x])
    other = normalised(model, given)
    found = aggregate_posterior(other, [x])
    assert float(given.law_deviation.max()) > 0.5
    # Codes of float32, each off by its rounding alone.
    assert float(found.law_deviation.max()) < 1e-5
    assert float(found.mean.abs().max()) < 1e-5
    torch.testing.assert_close(
        other.decode(other.encode(x)), model.decode(model.encode(x)), rtol=0, atol=1e-5
    )
    # So are the images of any other code, carried along.
    codes = torch.randn(20, 3, generator=torch.Generator().manual_seed(2))
    carried = (codes - given.mean.float()) / given.variance.sqrt().float()
    torch.testing.assert_close(other.decode(carried), model.decode(codes), rtol=0, atol=1e-5)
    assert other.fingerprint != model.fingerprint
    assert all(torch.equal(before[name], t) for name, t in model.network.state_dict().items())


@pytest.mark.parametrize(("family", "config"), VAES)
def test_the_divergence_falls_by_exactly_the_removable_part(family, config):
    x = pictures(config)
    for model in (vae(family, config), vae(family, config, off=False)):
        given = aggregate_posterior(model, [x])
        found = aggregate_posterior(normalised(model, given), [x])
        assert given.removable >= 0
        assert given.kl - found.kl == pytest.approx(given.removable, rel=1e-4, abs=1e-5)


def test_no_other_shift_and_scale_have_a_smaller_divergence():
    model, x = vae("vae", DENSE), pictures(DENSE)
    given = aggregate_posterior(model, [x])
    best = aggregate_posterior(normalised(model, given), [x]).kl
    for mean, factor in ((0.1, 1.0), (-0.1, 1.0), (0.0, 1.1), (0.0, 0.9), (0.2, 1.3)):
        spread = given.covariance * factor
        other = normalised(model, replace(given, mean=given.mean + mean, covariance=spread))
        assert aggregate_posterior(other, [x]).kl > best


def test_normalising_again_changes_nothing_to_speak_of():
    model, x = vae("vae", CONV), pictures(CONV)
    once, figures = normalise(model, lambda: [x])
    twice, again = normalise(once, lambda: [x])
    assert again["before_normalising"]["removable"] < 1e-6
    torch.testing.assert_close(twice.encode(x), once.encode(x), rtol=1e-5, atol=1e-5)
    assert figures["aggregate"] == again["before_normalising"]


def test_a_variable_that_says_nothing_is_left_where_it_is():
    model = vae("vae", DENSE, off=False)
    with torch.no_grad():
        for layer in (model.network.mean, model.network.log_variance):
            layer.weight[1] = 0
            layer.bias[1] = 0
    model = build("vae", DENSE, weights=model.network.state_dict())
    x = pictures(DENSE)
    other = normalised(model, aggregate_posterior(model, [x]))
    for now, before in zip(other.network.parameters(), model.network.parameters(), strict=True):
        if now.shape[:1] == (3,):
            assert torch.equal(now[1], before[1])
    reader, was = other.network.reader.weight, model.network.reader.weight
    assert torch.equal(reader[:, 1], was[:, 1])


def test_a_variance_of_nothing_is_not_divided_by():
    model, x = vae("vae", DENSE, off=False), pictures(DENSE)
    given = aggregate_posterior(model, [x])
    spread = given.covariance.clone()
    spread[0, 0] = 0
    other = normalised(model, replace(given, covariance=spread))
    assert bool(torch.isfinite(other.encode(x)).all())


def test_what_is_known_of_other_models_stays_known():
    model = vae("vae", DENSE)
    model.boxes = {"f": "center"}
    assert normalised(model, aggregate_posterior(model, [pictures(DENSE)])).boxes == {"f": "center"}


def test_training_ends_with_normalised_codes_and_says_so(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    model = train_on_images(images, SETTINGS, Run(out))
    found = diagnose(model, images)
    # The trained codes are float32, the sums are not.
    assert float(found.law_deviation.max()) < 1e-5
    record = read_header(out).training
    assert record["normalise"] is True
    assert record["aggregate"]["law_deviation_max"] < 1e-5
    assert record["aggregate"]["n"] == record["before_normalising"]["n"] == 70
    assert record["before_normalising"]["law_deviation_max"] > 0.01
    assert record["aggregate"]["kl"] < record["before_normalising"]["kl"]


def test_the_checkpoint_stays_as_it_was_trained_whatever_is_made_of_it(tmp_path, images):
    plain, out = tmp_path / "plain.safetensors", tmp_path / "vae.safetensors"
    unchanged = train_on_images(images, replace(SETTINGS, normalise=False), Run(plain))
    changed = train_on_images(images, SETTINGS, Run(out))
    contents = []
    for path in (plain, out):
        with safe_open(working_folder(path) / "checkpoint.safetensors", framework="pt") as file:
            contents.append({key: file.get_tensor(key) for key in file.keys()})
    assert all(torch.equal(contents[0][key], contents[1][key]) for key in contents[0])
    assert unchanged.fingerprint != changed.fingerprint
    assert "before_normalising" not in read_header(plain).training
    # A run that ended is finished again, the other way round.
    again = train_on_images(images, replace(SETTINGS, normalise=False), Run(out, resume=True))
    assert again.fingerprint == unchanged.fingerprint
    assert read_header(out).training["aggregate"]["law_deviation_max"] > 0.01


@pytest.mark.parametrize("half", [False, True])
def test_a_file_is_normalised_and_stays_as_wide_as_it_was(tmp_path, images, half):
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    model = vae("vae", CONV)
    save_model(halved(model) if half else model, old, training=SAID, half=half)
    made = normalise_file(old, images, new)
    assert is_half(new) == made.half == half
    assert load(new).fingerprint == made.model.fingerprint
    assert made.own_images is False
    # Weights of float16 are off by up to 2^-11 of themselves; the codes are about 1.
    assert made.after["law_deviation_max"] < (5e-3 if half else 1e-5)
    assert made.largest_difference < (1e-3 if half else 1e-5)
    record = read_header(new).training
    assert record["data"] == "other"
    assert "held_out" not in record  # What random images were like, which are others now.
    assert record["normalised_on"] == images.fingerprint
    assert record["aggregate"] == made.after
    with pytest.raises(OutputError, match="exists: choose another path"):
        normalise_file(old, images, new)


def test_what_a_record_does_not_say_is_not_known(tmp_path, images):
    old = tmp_path / "old.safetensors"
    save_model(vae("vae", CONV), old, training={})
    assert normalise_file(old, images, tmp_path / "new.safetensors").own_images is None
    save_model(vae("vae", CONV), old, training={"data": images.fingerprint})
    made = normalise_file(old, images, tmp_path / "new.safetensors", force=True)
    assert made.own_images is True


def test_only_a_vae_is_normalised():
    gan = GANModel(
        {"image_shape": [1, 8, 8], "latent_dim": 4, "base": 8, "widths": [4], "norm": "batch"}
    )
    with pytest.raises(ModelError, match="gan is a model of the family gan: only a VAE or a Split"):
        require_vae(gan)


def test_a_prior_that_is_far_from_the_codes_is_told():
    near = {"divergence": 0.9, "removable": 0.9}
    assert far_from_prior("a", {}) is None
    assert far_from_prior("a", {"aggregate": near}) is None
    far = far_from_prior("a", {"aggregate": {"divergence": 13.7, "removable": 5.3}})
    assert far is not None
    assert far.startswith("the prior of a is at least 13.7 nats from the codes of its training")
    assert far.endswith("`latentmap models normalise` takes 5.3 of these away")
    kept = far_from_prior("a", {"aggregate": {"divergence": 8.5, "removable": 0.0}})
    assert kept is not None and "normalise" not in kept


@pytest.mark.parametrize("said", [5, "far", [], {}, {"divergence": None}, {"divergence": 13.7}])
def test_a_prior_of_which_a_file_says_nothing_sensible_is_not_told_of(said):
    assert far_from_prior("a", {"aggregate": said}) is None
