"""Pruned VAEs: they decode as the whole one with the dropped variables fixed, and say what went."""

import json

import numpy as np
import pytest
import torch

from latentmap.diagnostics import ACTIVE_VARIANCE, aggregate_posterior
from latentmap.diagnostics.dropping import DropOptions, choose_dropped
from latentmap.diagnostics.dropping_section import dropping_figure, dropping_section
from latentmap.encoders import build, load
from latentmap.encoders.halving import halved
from latentmap.encoders.native import is_half, read_header, save_model
from latentmap.encoders.pruning import prune_file, pruned
from latentmap.encoders.sampling import draw_codes
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import Run
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.errors import ModelError, OutputError
from latentmap.images import open_images
from latentmap.model.testing import check_model
from tests.encoders.test_normalising import CONV, DENSE, VAES, pictures, vae

DROPPED = torch.tensor([False, True, False])


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.save(path, np.sort(pixels, axis=2))
    return open_images(path)


def pixels_of(images):
    read = [images.read(i) for i in range(len(images))]
    return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).float() / 255


def varying(config, images, variances, *, family="vae"):
    """A VAE whose posterior means have these variances over the images."""
    model = vae(family, config, off=False)
    now = model.encode(pixels_of(images)).var(0, correction=0)
    with torch.no_grad():
        model.network.mean.weight.mul_((torch.tensor(variances) / now).sqrt()[:, None])
        model.network.reader.weight.mul_(5)
    return build(family, config, name="one", weights=model.network.state_dict())


@pytest.mark.parametrize(("family", "config"), VAES)
def test_a_pruned_model_decodes_as_the_whole_one_with_the_dropped_variables_fixed(family, config):
    whole, x = vae(family, config), pictures(config)
    center = torch.tensor([9.0, 1.7, 9.0], dtype=torch.float64)
    smaller = pruned(whole, ~DROPPED, center)
    assert smaller.latent_dim == smaller.config["latent_dim"] == 2
    assert smaller.fingerprint != whole.fingerprint
    check_model(smaller)
    codes = 3 * torch.randn(50, 3, generator=torch.Generator().manual_seed(3))
    codes[:, 1] = 1.7
    torch.testing.assert_close(
        smaller.decode(codes[:, ~DROPPED]), whole.decode(codes), rtol=0, atol=1e-5
    )
    # Posteriors are those of the whole one, less a column.
    one, other = whole.posterior(x), smaller.posterior(x)
    for before, after in ((one.mean, other.mean), (one.variance, other.variance)):
        torch.testing.assert_close(after, before[:, ~DROPPED], rtol=1e-5, atol=1e-6)


def test_nothing_is_changed_in_the_whole_model():
    whole = vae("vae", DENSE)
    before = {name: tensor.clone() for name, tensor in whole.network.state_dict().items()}
    pruned(whole, ~DROPPED, torch.ones(3, dtype=torch.float64))
    assert all(torch.equal(before[name], t) for name, t in whole.network.state_dict().items())


def test_inactive_variables_are_dropped_and_stand_at_their_means(images):
    model, x = varying(DENSE, images, [1.0, 0.01, 0.3]), pixels_of(images)
    codes = model.encode(x).double()
    found = choose_dropped(model, images)
    variance = codes.var(0, correction=0).numpy()
    np.testing.assert_allclose(found.variance, variance, rtol=1e-6)
    assert found.kept.tolist() == (variance > ACTIVE_VARIANCE).tolist() == [True, False, True]
    np.testing.assert_allclose(found.center, codes.mean(0).numpy(), rtol=1e-6)
    moved = codes.clone()
    moved[:, 1] = moved[:, 1].mean()
    for estimate, z in ((found.before, codes), (found.after, moved)):
        mse = (model.decode(z.float()) - x).square().flatten(1).mean(1).double().mean()
        assert estimate.value == pytest.approx(float(mse), rel=1e-5)
        assert estimate.low < estimate.value < estimate.high
    # All 40 images are measured for the gains, so that the one gain is the rise.
    assert found.gains[1].value == pytest.approx(found.rise.value, abs=1e-9)
    assert found.rise.value == pytest.approx(found.after.value - found.before.value, abs=1e-12)


def test_gains_are_of_as_many_different_images_as_there_are(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "copies.npy", pixels[[0] * 30 + [1, 2, 3, 4, 5]])
    images = open_images(tmp_path / "copies.npy")
    model, x = varying(DENSE, images, [1.0, 0.01, 0.3]), pixels_of(images)
    found = choose_dropped(model, images, DropOptions(gain_images=6))
    assert (found.n, found.n_units, found.gain_images) == (35, 6, 6)
    codes = model.encode(x)
    moved = codes.clone()
    moved[:, 0] = codes[:, 0].mean()
    before, after = ((model.decode(z)[29:] - x[29:]).square().mean() for z in (codes, moved))
    assert found.gains[0].value == pytest.approx(float(after - before), rel=1e-3)


@pytest.mark.parametrize("unit", ["mse", "error"])
def test_a_limit_drops_by_rising_gain_as_long_as_it_holds(tmp_path, images, unit):
    settings = VAESettings("vae", DENSE, epochs=40, batch_size=20, learning_rate=1e-2, beta=0.01)
    model, x = train_on_images(images, settings, Run(tmp_path / "one")), pixels_of(images)
    codes = model.encode(x)

    def mse(gone):
        moved = codes.clone()
        moved[:, gone] = codes.double().mean(0).float()[gone]
        return float((model.decode(moved) - x).square().mean(dtype=torch.float64))

    order = sorted(range(3), key=lambda i: mse([i]))
    one, two = mse(order[:1]), mse(order[:2])
    assert mse([]) < one < two
    factor = 64 if unit == "error" else 1
    for limit, gone in (((one + two) / 2, order[:1]), (two * 1.01, order[:2]), (9, order[:2])):
        options = DropOptions(**{f"until_{unit}": limit * factor})
        found = choose_dropped(model, images, options)
        assert np.flatnonzero(~found.kept).tolist() == sorted(gone)
        assert found.after.value == pytest.approx(mse(gone), rel=1e-5)
        assert found.limit == pytest.approx(limit)
    between = f"nothing to drop: without variable {order[0]}, whose gain is the least"
    with pytest.raises(ModelError, match=between):
        choose_dropped(model, images, DropOptions(until_mse=(mse([]) + one) / 2))
    with pytest.raises(ModelError, match=f"one with all its variables has an mse of {mse([]):.4g}"):
        choose_dropped(model, images, DropOptions(until_mse=mse([]) / 2))


@pytest.mark.parametrize("half", [False, True])
def test_a_file_is_pruned_and_says_of_what_it_is_left(tmp_path, images, half):
    model, out = varying(CONV, images, [1.0, 0.01, 0.3]), tmp_path / "small.safetensors"
    model = halved(model) if half else model
    old = tmp_path / "old.safetensors"
    save_model(model, old, training={"data": "other", "held_out": {"own": [0.1]}}, half=half)
    made = prune_file(old, images, out)
    again = load(out)
    assert is_half(out) == half
    assert again.fingerprint == made.model.fingerprint != model.fingerprint
    assert again.latent_dim == made.dropping.kept.sum() < 3
    check_model(again)
    draw_codes(again, 2, seed=0)
    record = read_header(out).training
    assert record["data"] == "other"
    assert "held_out" not in record
    said = record["pruned"]
    assert (said["model"], said["fingerprint"]) == ("old", model.fingerprint)
    assert (said["latent_dim"], said["data"]) == (3, images.fingerprint)
    assert said["kept"] == np.flatnonzero(made.dropping.kept).tolist()
    assert said["mse_after"] == made.dropping.after.value
    x = pixels_of(images)
    kl = aggregate_posterior(again, [x]).kl
    assert record["aggregate"]["kl"] == pytest.approx(kl, rel=1e-5)
    mse = float((again.decode(again.encode(x)) - x).square().mean())
    assert mse == pytest.approx(said["mse_after"], rel=2e-3 if half else 1e-5)
    with pytest.raises(OutputError, match="exists: choose another path"):
        prune_file(old, images, out)


def test_tables_picture_and_section_show_what_went(images):
    whole = varying(DENSE, images, [1.0, 0.01, 0.3])
    found = choose_dropped(whole, images, DropOptions(gain_images=5))
    smaller = pruned(whole, torch.from_numpy(found.kept), torch.from_numpy(found.center))
    text = str(found)
    assert "2 of 3 variables are kept" in text
    assert "Gains of 5 images" in text
    assert "summed over the 64 values of an image" in text
    assert repr(found) == "<Dropping: 2 of 3 variables are kept>"
    json.dumps(found.to_json(), allow_nan=False)
    assert dropping_figure(found, whole, smaller).picture().height > 3 * 90
    section = dropping_section(found, whole, smaller, record={"data": images.fingerprint})
    assert section.text == [
        "2 of the 3 variables of one are kept; the others stand at their means over the images."
    ]


@pytest.mark.parametrize(
    ("variance", "message"),
    [
        (1.0, "nothing to drop: all 3 variables of one are active"),
        (0.01, "nothing to keep: none of the 3 variables of one is active"),
    ],
)
def test_nothing_to_drop_or_to_keep_is_said(images, variance, message):
    with pytest.raises(ModelError, match=message):
        choose_dropped(varying(DENSE, images, [variance] * 3), images)


def test_the_only_variable_stays(images):
    model = build("vae", {**DENSE, "latent_dim": 1}, name="one")
    with pytest.raises(ModelError, match="nothing to drop: one has one variable"):
        choose_dropped(model, images, DropOptions(until_mse=9))


def test_two_limits_are_refused():
    with pytest.raises(ModelError, match="or an error per image, not both"):
        DropOptions(until_mse=0.1, until_error=1)
