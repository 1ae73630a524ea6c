"""Gradients of images in their codes, for every family that can be searched."""

import pytest
import torch

from latentmap.encoders import FAMILIES, build
from latentmap.encoders.inverted import InvertedModel, add_inversion, in_space
from latentmap.encoders.nets.inversion import InversionNetwork, default_network
from latentmap.errors import ModelError
from latentmap.model.clamping import clamp_to_unit

STYLEGAN = {
    "image_shape": [1, 16, 16],
    "latent_dim": 6,
    "z_dim": 6,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "channels": [8, 8, 4],
    "mapping_layers": 2,
    "mapping_multiplier": 0.01,
    "architecture": "skip",
    "conv_clamp": None,
}
CONFIGS = {
    "gan": {
        "image_shape": [1, 16, 16],
        "latent_dim": 6,
        "base": 6,
        "widths": [4, 4],
        "norm": "batch",
    },
    "layers": {
        "image_shape": [1, 4, 4],
        "latent_dim": 6,
        "range": [-1, 1],
        "decoder": [
            {"kind": "linear", "outputs": 16, "bias": True},
            {"kind": "tanh"},
            {"kind": "reshape", "shape": [1, 4, 4]},
        ],
    },
    "split-vae": {"image_shape": [1, 16, 16], "latent_dim": 6, "width": 2, "embedding": 8},
    "stylegan1": STYLEGAN,
    "stylegan2": STYLEGAN,
    "stylegan3": STYLEGAN
    | {
        "kernel": 3,
        "radial": False,
        "critical": 2,
        "first_cutoff": 2.0,
        "first_stopband": 2**2.1,
        "last_stopband_rel": 2**0.3,
        "margin": 10,
        "output_scale": 0.25,
    },
    "tiny-autoencoder": {
        "image_shape": [3, 16, 16],
        "latent_dim": 1024,
        "latent_shape": [4, 16, 16],
        "decoder": [["clamp", 4], ["conv-relu", 8], ["conv", 3]],
    },
    "vae": {"architecture": "dense", "image_shape": [1, 16, 16], "latent_dim": 6, "widths": [8]},
}


def model_of(family):
    torch.manual_seed(0)
    if family == "inverted":
        return inverted(model_of("gan"))
    return build(family, CONFIGS[family])


def inverted(generator) -> InvertedModel:
    config = default_network("residual", generator.image_shape, generator.latent_dim, width=4)
    network = InversionNetwork(config, generator.image_shape, generator.latent_dim)
    return add_inversion(generator, network, config, name="inverted")


def models():
    for family in FAMILIES:
        yield pytest.param(family, None, id=family)
    for space in ("z", "w+"):
        yield pytest.param("stylegan2", space, id=f"stylegan2 {space}")


@pytest.mark.parametrize(("family", "space"), list(models()))
def test_codes_have_the_gradient_of_finite_differences(family, space):
    model = model_of(family)
    model = model if space is None else in_space(model, space)
    codes = model.sample(2, seed=1).requires_grad_()
    images = model.decode_with_gradient(codes)
    torch.testing.assert_close(images, model.decode(codes.detach()), atol=1e-5, rtol=1e-5)
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    # Pixels at the ends of the range pass their gradients on, but do not move.
    inside = (images > 0.02) & (images < 0.98)
    (gradient,) = torch.autograd.grad((images * weights)[inside].sum(), codes)
    # Along the gradient, where the slope stands out most from the rounding of the images.
    length = gradient.norm()
    step = 0.01 * gradient / length
    ahead, behind = (model.decode(codes.detach() + sign * step) for sign in (1, -1))
    slope = ((ahead - behind) * weights)[inside].double().sum() / 0.02
    assert length > 1e-3
    assert float(slope) == pytest.approx(float(length), rel=0.1)
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_codes_of_another_shape_have_no_gradient():
    with pytest.raises(ModelError, match=r"takes codes of shape \(n, 6\), not \(2, 5\)"):
        model_of("gan").decode_with_gradient(torch.zeros(2, 5))


def test_a_pixel_that_is_cut_off_can_come_back():
    dark = torch.tensor([-3.0, 0.25, 4.0], requires_grad=True)
    images = clamp_to_unit(dark * 1)
    assert images.tolist() == [0.0, 0.25, 1.0]
    (images - torch.tensor([1.0, 0.25, 1.0])).square().sum().backward()
    assert dark.grad is not None
    assert dark.grad.tolist() == [-2.0, 0.0, 0.0]


def test_an_inverted_model_is_searched_in_other_spaces():
    model = inverted(model_of("stylegan2"))
    images = model.decode(model.sample(2, seed=0))
    layered = in_space(model, "w+")
    assert layered.space.kind == "w+"
    w = model.encode(images)
    # Every layer has the w that the network gives, so that the image is the same.
    torch.testing.assert_close(layered.decode(layered.encode(images)), model.decode(w))
    in_z = in_space(model, "z")
    assert not in_z.can_encode
    torch.testing.assert_close(in_z.decode(in_z.sample(2, seed=0)), images)
    with pytest.raises(ModelError, match="gives codes in w, not in z: encode in w, or search"):
        in_z.encode(images)
    assert model.space.kind == "w"
    assert model.can_encode


def test_the_parts_of_a_code_are_its_layers():
    model = model_of("stylegan2")
    assert model.parts == 1
    assert in_space(model, "w+").parts == model.num_ws
    assert inverted(in_space(model, "w+")).parts == model.num_ws
