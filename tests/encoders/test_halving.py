"""Models in float16: what is written, read and computed with."""

import pytest
import torch

from latentmap.encoders import build, load
from latentmap.encoders.halving import halved
from latentmap.encoders.inverted import InvertedModel, add_inversion
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.inversion import InversionNetwork, default_network
from latentmap.errors import ModelError

VAE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [8]}
GAN = {"image_shape": [1, 8, 8], "latent_dim": 4, "base": 8, "widths": [4], "norm": "batch"}


def make(family, config):
    torch.manual_seed(0)
    return build(family, config, name="one")


def inverted():
    generator = make("gan", GAN)
    network_config = default_network("residual", (1, 8, 8), 4, width=4)
    network = InversionNetwork(network_config, (1, 8, 8), 4)
    return add_inversion(generator, network, network_config, name="one")


@pytest.mark.parametrize("model", [make("vae", VAE), make("gan", GAN), inverted()])
def test_a_model_of_half_the_size_comes_back_as_it_was_rounded(model, tmp_path):
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    rounded = halved(model)
    save_model(model, whole, training={})
    save_model(rounded, half, training={}, half=True)
    again = load(half)
    assert again.fingerprint == rounded.fingerprint != model.fingerprint
    assert {t.dtype for t in again.network.state_dict().values()} <= {torch.float32, torch.int64}
    for name, tensor in again.network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=1e-3, atol=1e-6)
        if tensor.is_floating_point():
            assert torch.equal(tensor, before[name].half().float())
    # The names and the description take room of their own.
    weights = sum(t.numel() for t in before.values())
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(2 * weights, abs=200)
    # The model that was given is as before.
    assert all(torch.equal(before[name], t) for name, t in model.network.state_dict().items())


def test_rounding_twice_changes_nothing():
    once = halved(make("vae", VAE))
    assert halved(once).fingerprint == once.fingerprint


def test_an_inverted_model_of_half_the_size_belongs_to_its_rounded_generator():
    model = inverted()
    half = halved(model)
    assert isinstance(half, InvertedModel)
    assert half.generator.fingerprint == halved(model.generator).fingerprint
    assert half.space.same_as(half.generator.space)


def test_a_weight_beyond_float16_is_refused():
    model = make("vae", VAE)
    next(iter(model.network.parameters())).data.mul_(1e8)
    with pytest.raises(ModelError, match="beyond the 65504 of float16: keep the model in float32"):
        halved(model)
