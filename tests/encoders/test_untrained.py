"""Untrained networks of a model's architecture."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from latentmap.encoders import build, load
from latentmap.encoders.code_files import StoredCodes
from latentmap.encoders.inverted import add_inversion
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.inversion import InversionNetwork, default_network
from latentmap.encoders.untrained import untrained
from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.images import open_images
from latentmap.model import count_seen
from latentmap.model.testing import LinearModel, check_model

STEPS = [("conv", 8), ("halve", 8), ("block", 8), ("conv", 3)]
BACK = [("clamp", 3), ("conv-relu", 8), ("block", 8), ("double", 8), ("conv", 3)]
LINEAR = {"kind": "linear", "outputs": 4, "bias": True}
CONFIGS = {
    "vae": {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [8]},
    "split-vae": {"image_shape": [3, 32, 32], "latent_dim": 6, "width": 4, "embedding": 16},
    "layers": {
        "image_shape": [1, 8, 8],
        "latent_dim": 4,
        "range": [0, 1],
        "encoder": [{"kind": "flatten"}, LINEAR, {"kind": "batch-norm"}],
    },
    "tiny-autoencoder": {
        "image_shape": [3, 8, 12],
        "latent_dim": 72,
        "latent_shape": [3, 4, 6],
        "encoder": STEPS,
        "decoder": BACK,
    },
}
GAN = {"image_shape": [1, 8, 8], "latent_dim": 4, "base": 8, "widths": [4], "norm": "batch"}


def inverted():
    generator = build("gan", GAN, name="g")
    network = default_network("residual", (1, 8, 8), 4, width=4)
    return add_inversion(
        generator, InversionNetwork(network, (1, 8, 8), 4), network, name="inverted"
    )


def model_of(family):
    torch.manual_seed(11)
    return inverted() if family == "inverted" else build(family, CONFIGS[family], name=family)


@pytest.mark.parametrize("family", [*CONFIGS, "inverted"])
def test_of_every_family_that_encodes_there_is_an_untrained_network(family):
    model = model_of(family)
    made = untrained(model)
    check_model(made)
    assert made.name == f"untrained:{family}"
    assert made.latent_shape == model.latent_shape
    assert made.view == model.view
    assert not made.space.same_as(model.space)
    images = torch.rand(20, *model.image_shape, generator=torch.Generator().manual_seed(0))
    assert made.encode(images).std(0).min() > 0


def test_weights_are_those_that_a_training_starts_from():
    made, config = untrained(model_of("vae"), seed=5), CONFIGS["vae"]
    torch.manual_seed(5)
    first = build("vae", config).network.state_dict()
    assert all(torch.equal(first[key], one) for key, one in made.network.state_dict().items())


def test_one_seed_is_one_network_and_disturbs_nobody():
    model = model_of("vae")
    before = torch.random.get_rng_state()
    assert untrained(model).fingerprint == untrained(model_of("vae")).fingerprint
    other = untrained(model, seed=3)
    assert other.name == "untrained:vae?seed=3"
    assert other.fingerprint != untrained(model).fingerprint
    torch.manual_seed(11)
    build("vae", CONFIGS["vae"])
    assert torch.equal(before, torch.random.get_rng_state())


def test_another_process_draws_the_same_weights():
    code = "from latentmap.encoders import load; print(load('untrained:mnist-vae').fingerprint)"
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert found.stdout.strip() == load("untrained:mnist-vae").fingerprint


def test_a_network_that_was_trained_alike_has_the_same_untrained_one():
    assert load("untrained:vae").space.same_as(load("untrained:vae-b").space)


@pytest.mark.parametrize("reference", ["mnist-vae", "mnist-svae", "mnist-gan"])
def test_untrained_codes_tell_something_of_trained_ones(reference):
    svae, other = load("mnist-svae"), load(f"untrained:{reference}")
    images = open_images("digits", limit=900)
    (batch,) = images.batches([svae.view], batch_size=900)
    x, y = (model.encode(batch.floats(0)).double().numpy() for model in (other, svae))
    fitted, held_out = slice(0, 600), slice(600, 900)
    rows = np.c_[x, np.ones(900)]
    map_, *_ = np.linalg.lstsq(rows[fitted], y[fitted], rcond=None)
    missed = ((y - rows @ map_)[held_out] ** 2).sum()
    assert 1 - missed / ((y - y[fitted].mean(0))[held_out] ** 2).sum() > 0.2


def test_of_a_generator_the_inversion_network_alone_is_untrained():
    model = inverted()
    with torch.no_grad():
        model.inversion.mean += 3
    made = untrained(model)
    assert made.can_encode and not made.can_decode and not made.is_generator
    assert torch.equal(made.network.mean, model.inversion.mean)
    assert not torch.equal(made.network.body[0].weight, model.inversion.body[0].weight)


def test_in_w_plus_an_untrained_network_repeats_its_w():
    model = load("mnist-stylegan")
    made = untrained(model.variant(space="w+"))
    images = model.decode(model.sample(2))
    codes = made.encode(images)
    w = untrained(model).encode(images)
    assert codes.shape == (2, made.latent_dim) and made.latent_dim > w.shape[1]
    assert torch.equal(codes, w.repeat(1, made.latent_dim // w.shape[1]))
    with pytest.raises(ModelError, match="mnist-stylegan has no encoder that could be untrained"):
        untrained(model.variant(space="z"))


def test_an_untrained_network_sees_what_its_model_sees_and_stays_itself():
    model = model_of("vae")
    box = Frame("0,0,0.5,1")
    seeing = untrained(model.seen_through(box))
    assert seeing.frame == box
    assert seeing.fingerprint == untrained(model).fingerprint


def test_an_untrained_network_was_trained_on_nothing():
    images = open_images("digits", limit=20)
    made = load("untrained:mnist-vae")
    assert count_seen([made], images.digests) == {made.name: 0}


def test_a_size_chooses_that_of_an_untrained_network(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(model_of("tiny-autoencoder"), path, training={})
    large = load(f"untrained:{path}?size=16x24&seed=2")
    assert large.image_shape == (3, 16, 24)
    assert large.name == "untrained:tiny?seed=2"
    again = untrained(load(path, size=(16, 24)), seed=2)
    assert large.fingerprint == again.fingerprint
    assert load(f"untrained:{path}", size=(16, 24)).latent_shape == (3, 8, 12)


def test_short_names_may_stand_before_and_behind_the_colon(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    (tmp_path / "inner").mkdir()
    save_model(model_of("vae"), tmp_path / "models.safetensors", training={})
    (tmp_path / "latentmap.toml").write_text(
        '[models]\nmine = "models.safetensors"\nfresh = "untrained:models.safetensors"\n'
        'code = "python:nowhere:load"\n'
    )
    monkeypatch.chdir(tmp_path / "inner")
    fresh = load("fresh?seed=3")
    assert fresh.name == "fresh"
    assert fresh.fingerprint == load("untrained:mine?seed=3").fingerprint
    with pytest.raises(ModelError, match="untrained:code: python: has no configuration"):
        load("untrained:code")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("untrained:pixels:8", "untrained:pixels:8: pixels: has no configuration that an untrain"),
        ("untrained:diffusers:someone/vae", "diffusers: has no .* path of a model file, or the"),
        ("untrained:untrained:svae", "untrained: has no configuration"),
        ("untrained:nothing", "there is no model file nothing"),
        ("untrained:", "untrained: names no model: give one after the colon, as untrained:svae"),
        ("untrained:svae?seed=-1", "seed must be a whole number from 0 on, not -1"),
        ("untrained:svae?features=cls", "no option 'features' here: known are seed"),
        ("untrained:svae?size=8x8", "64x64 pixels alone, not 8x8"),
    ],
)
def test_references_of_which_there_is_no_untrained_network(reference, said):
    with pytest.raises(ModelError, match=said):
        load(reference)


def test_models_of_which_there_is_no_untrained_network(tmp_path):
    with pytest.raises(ModelError, match="linear is of the family linear-test, of which no netw"):
        untrained(LinearModel())
    with pytest.raises(ModelError, match="g has no encoder that could be untrained"):
        untrained(build("gan", GAN, name="g"))
    np.savez(tmp_path / "codes.npz", codes=np.eye(3, dtype=np.float32), ids=np.array(list("abc")))
    stored = load(tmp_path / "codes.npz")
    assert isinstance(stored, StoredCodes)
    with pytest.raises(ModelError, match="codes has no encoder that could be untrained"):
        untrained(stored)
