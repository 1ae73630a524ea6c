"""StyleGAN 1 and 2 against their formulas, written out independently in ``naive_stylegan``."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from latentmap.encoders.nets.stylegan1 import StyleGAN1
from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan_codes import broadcast_w, count_ws, mix_styles, truncate
from latentmap.encoders.nets.stylegan_convolution import (
    arrange,
    convolve,
    convolve_scaled,
    convolve_up,
)
from latentmap.errors import ModelError
from tests.encoders.naive_stylegan import arrays, mapped, synthesized1, synthesized2
from tests.encoders.rounding import rounding_error

CONFIG = {
    "image_shape": [3, 32, 32],
    "latent_dim": 12,
    "z_dim": 10,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "channels": [12, 10, 8, 6],
    "mapping_layers": 3,
    "mapping_multiplier": 0.01,
    "architecture": "skip",
    "conv_clamp": None,
}
LABELS = {
    "none": {},
    "embed": {"label": "embed", "c_dim": 4, "embed_dim": 7},
    "concat": {"label": "concat", "c_dim": 4},
}
NETWORKS = {1: StyleGAN1, 2: StyleGAN2}
ARCHITECTURES = ["skip", "orig", "resnet"]


def network_of(generation, **changes):
    """A network all of whose weights matter: no bias or strength is left at zero, no constant at
    one.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORKS[generation]({**CONFIG, **changes})
        for name, weight in network.named_parameters():
            if name.endswith(("bias", "const", "noise_strength", "noise_weight")):
                weight.data += 0.3 * torch.randn_like(weight)
            # The biases of the mapping count a hundredth.
            if name.startswith("mapping.fc") and name.endswith("bias"):
                weight.data *= 100
    return network.requires_grad_(False)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def codes_of(network, n, *, seed=0):
    """ws with a w of its own in every layer."""
    return torch.randn(n, network.num_ws, CONFIG["latent_dim"], generator=seeded(seed))


def naive_images(generation, network, ws, *, noise="const", config=CONFIG):
    """Float64 images; ``noise`` is const, none, or maps (n, r, r), one a layer."""
    weights = arrays(network)
    stored = [weights[name] for name in weights if name.endswith("noise_const")]
    synthesized = {1: synthesized1, 2: synthesized2}[generation]
    images = []
    for i, rows in enumerate(ws.double().numpy()):
        maps = stored if noise == "const" else [np.zeros_like(x) for x in stored]
        if not isinstance(noise, str):
            maps = [x[i] for x in noise]
        images.append(synthesized(weights, config, rows, noise=maps))
    return torch.from_numpy(np.stack(images))


def images_rounding(network, ws, *, noise="const", seed=0):
    """How far images in float32 may be from those of the formulas."""

    def images(exact):
        return exact.synthesis(
            ws.detach().double(), noise=noise, generator=seeded(seed), dtype=torch.float64
        )

    return rounding_error(network, images)


def assert_images_close(images, expected, tolerance):
    assert images.shape == expected.shape and images.dtype == torch.float32
    # Derived or not, a tolerance must not excuse a mistake.
    assert tolerance < 1e-3 * expected.std()
    torch.testing.assert_close(images.double(), expected.double(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("generation", NETWORKS)
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("hidden", [12, 9])
def test_the_mapping_is_that_of_the_formulas(generation, label, hidden):
    config = {**CONFIG, **LABELS[label], "mapping_dim": hidden}
    network = network_of(generation, **LABELS[label], mapping_dim=hidden)
    z = torch.randn(5, 10, generator=seeded())
    classes = None if label == "none" else torch.eye(4)[[0, 3, 1, 1, 2]]
    expected = mapped(
        arrays(network), config, z.numpy(), labels=np.asarray(classes), generation=generation
    )
    w = network.mapping(z, classes)
    assert w.std() > 0.1
    torch.testing.assert_close(w.double(), torch.as_tensor(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("label", "labels", "message"),
    [
        ("none", torch.eye(4), r"knows 0 classes and takes labels of shape None, not \(4, 4\)"),
        ("embed", None, r"knows 4 classes and takes labels of shape \(4, 4\), not None"),
        ("concat", torch.eye(5)[:4], r"takes labels of shape \(4, 4\), not \(4, 5\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(label, labels, message):
    network = network_of(2, **LABELS[label])
    with pytest.raises(ModelError, match=message):
        network.mapping(torch.zeros(4, 10), labels)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("gradients", [False, True])
def test_stylegan2_is_that_of_the_formulas(architecture, clamp, gradients):
    config = {**CONFIG, "architecture": architecture, "conv_clamp": clamp}
    network = network_of(2, architecture=architecture, conv_clamp=clamp)
    ws = codes_of(network, 2).requires_grad_(gradients)
    expected = naive_images(2, network, ws.detach(), config=config)
    assert_images_close(network.synthesis(ws).detach(), expected, images_rounding(network, ws))


@pytest.mark.parametrize("gradients", [False, True])
def test_stylegan1_is_that_of_the_formulas(gradients):
    network = network_of(1)
    ws = codes_of(network, 2).requires_grad_(gradients)
    expected = naive_images(1, network, ws.detach())
    assert_images_close(network.synthesis(ws).detach(), expected, images_rounding(network, ws))


def test_the_epsilon_of_the_instance_normalisation_is_that_of_the_formulas():
    network = network_of(1, instance_norm_epsilon=0.1)
    ws = codes_of(network, 1)
    weights = arrays(network)
    noise = [weights[name] for name in weights if name.endswith("noise_const")]
    expected = synthesized1(weights, CONFIG, ws[0].numpy(), noise=noise, epsilon=0.1)
    expected = torch.from_numpy(expected)[None]
    assert_images_close(network.synthesis(ws), expected, images_rounding(network, ws))
    assert (network_of(1).synthesis(ws) - expected).abs().max() > 0.01
    with pytest.raises(ValueError, match="instance_norm_epsilon is between 0 and 1, not 0"):
        network_of(1, instance_norm_epsilon=0)


@pytest.mark.parametrize("generation", NETWORKS)
def test_a_final_tanh_is_applied_to_the_images(generation):
    network = network_of(generation, final_tanh=True)
    ws = codes_of(network, 2)
    assert torch.equal(network.synthesis(ws), network_of(generation).synthesis(ws).tanh())


def test_the_fused_upsampling_of_stylegan1_is_the_plain_one_with_a_flipped_weight():
    network = network_of(1)
    ws = codes_of(network, 1)
    weights = arrays(network)
    noise = [weights[name] for name in weights if name.endswith("noise_const")]
    for resolution in (16, 32):
        name = f"synthesis.b{resolution}.conv0.weight"
        weights[name] = weights[name][:, :, ::-1, ::-1]
    expected = synthesized1(weights, CONFIG, ws[0].numpy(), noise=noise, fused_from=16)
    expected = torch.from_numpy(expected)[None]
    assert_images_close(network.synthesis(ws), expected, images_rounding(network, ws))


@pytest.mark.parametrize("generation", NETWORKS)
def test_noise_is_stored_absent_or_drawn_layer_by_layer(generation):
    network = network_of(generation)
    ws = codes_of(network, 2)
    none = network.synthesis(ws, noise="none")
    expected = naive_images(generation, network, ws, noise="none")
    assert_images_close(none, expected, images_rounding(network, ws, noise="none"))
    sizes = [int(x.shape[0]) for name, x in network.named_buffers() if "noise_const" in name]
    assert sizes == ([4, 4] if generation == 1 else [4]) + [8, 8, 16, 16, 32, 32]
    generator = seeded(7)
    drawn = [torch.randn(2, 1, r, r, generator=generator)[:, 0].double().numpy() for r in sizes]
    random = network.synthesis(ws, noise="random", generator=seeded(7))
    expected = naive_images(generation, network, ws, noise=drawn)
    tolerance = images_rounding(network, ws, noise="random", seed=7)
    assert_images_close(random, expected, tolerance)
    assert (random - none).std() > 0.01
    # What rounding excuses is far less than noise that is a thousandth too strong.
    drawn = [1.001 * x for x in drawn]
    stronger = naive_images(generation, network, ws, noise=drawn)
    assert (random - stronger).abs().max() > 10 * tolerance


@pytest.mark.parametrize("generation", NETWORKS)
@pytest.mark.parametrize("trained", [False, True])
def test_an_image_does_not_depend_on_the_others_of_its_batch(generation, trained):
    network = network_of(generation).requires_grad_(trained)
    ws = codes_of(network, 3)
    alone = torch.cat([network.synthesis(row[None]) for row in ws])
    # Both are rounded.
    tolerance = 2 * images_rounding(network, ws)
    assert_images_close(network.synthesis(ws), alone, tolerance)
    order = [2, 0, 1]
    assert_images_close(network.synthesis(ws[order]), alone[order], tolerance)


@pytest.mark.parametrize(
    ("generation", "changes"),
    [(1, {}), *((2, {"architecture": x, "conv_clamp": 2.0}) for x in ARCHITECTURES)],
)
@pytest.mark.parametrize("trained", [False, True])
def test_gradients_in_w_are_those_of_the_formulas(generation, changes, trained):
    network = network_of(generation, **changes).requires_grad_(trained)
    ws = codes_of(network, 1).requires_grad_()
    direction = codes_of(network, 1, seed=1).double()
    target = torch.randn(1, 3, 32, 32, generator=seeded(2))
    (network.synthesis(ws) * target).sum().backward()
    start, step = ws.detach().double(), 1e-6
    ahead, behind = (
        naive_images(
            generation, network, start + sign * step * direction, config={**CONFIG, **changes}
        )
        for sign in (1, -1)
    )
    slope = ((ahead - behind) * target).sum() / (2 * step)
    error = (ws.grad * direction).sum() - slope
    assert error.abs() < 1e-5 * ws.grad.norm() * direction.norm()


def small_double(generation, **changes):
    """A network of 16 pixels in float64 and codes for it, to compare with differences."""
    small = {"image_shape": [3, 16, 16], "channels": [6, 5, 4], **changes}
    network = network_of(generation, **small).double()
    return network, codes_of(network, 2).double()


@pytest.mark.parametrize("generation", NETWORKS)
def test_gradients_in_every_weight_are_the_differences_of_the_images(generation):
    network, ws = small_double(generation)
    names = [name for name, _ in network.synthesis.named_parameters()]

    def images(*weights):
        return torch.func.functional_call(
            network.synthesis,
            dict(zip(names, weights, strict=True)),
            (ws,),
            {"dtype": torch.float64},
        )

    weights = [x.detach().requires_grad_() for x in network.synthesis.parameters()]
    assert torch.autograd.gradcheck(images, weights, fast_mode=True)


def test_a_bias_can_be_trained_alone():
    network = network_of(2)
    ws = codes_of(network, 1)
    gradients = []
    for also_weights in (False, True):
        network.requires_grad_(also_weights)
        bias = network.synthesis.b32.conv1.bias.requires_grad_()
        (gradient,) = torch.autograd.grad(network.synthesis(ws).square().sum(), bias)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_second_derivatives_of_trained_networks_are_the_differences_of_the_first(architecture):
    network, ws = small_double(2, architecture=architecture)
    network.requires_grad_()

    def images(ws):
        return network.synthesis(ws, dtype=torch.float64)

    assert torch.autograd.gradcheck(images, ws.requires_grad_(), fast_mode=True)
    assert torch.autograd.gradgradcheck(images, ws, fast_mode=True)


# Of few pixels and of many: the ways of the small ones and of the large ones.
@pytest.mark.parametrize(("n", "side"), [(1, 4), (3, 8), (1, 9), (1, 32), (1, 33), (5, 16)])
def test_every_way_to_convolve_is_that_of_torch(n, side):
    x = torch.randn(n, 3, side, side + 1, generator=seeded()).double()
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(5, 3, 3, 3, generator=seeded(1)).double()
    ways = {
        False: (convolve, functional.conv2d(x, weight, padding=1)),
        True: (convolve_up, functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)),
    }
    for up, (way, expected) in ways.items():
        y = way(x, arrange(weight, x[0, 0].numel(), up=up))
        torch.testing.assert_close(y, expected)
        target = torch.randn(y.shape, generator=seeded(2)).double()
        gradients = [torch.autograd.grad((z * target).sum(), x)[0] for z in (y, expected)]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("side", [4, 33])
@pytest.mark.parametrize("up", [False, True])
def test_a_scaled_convolution_has_the_gradients_of_its_parts(up, side):
    x, styles, scales = (
        torch.randn(shape, generator=seeded(1)).double().requires_grad_()
        for shape in ((1, 3, side, side), (1, 3), (1, 5))
    )
    weight = torch.randn(5, 3, 3, 3, generator=seeded(2)).double()
    bias = None if up else torch.randn(5, generator=seeded(3)).double()
    arranged = arrange(weight, side**2, up=up)
    scaled = x * styles[:, :, None, None]
    plain = convolve_up(scaled, arranged) if up else convolve(scaled, arranged)
    plain = plain * scales[:, :, None, None] + (0 if bias is None else bias[:, None, None])
    y = convolve_scaled(x, arranged, styles, scales, bias, up)
    torch.testing.assert_close(y, plain)
    target = torch.randn(y.shape, generator=seeded(4)).double()
    parts = (x, styles, scales)
    for gradient, expected in zip(
        torch.autograd.grad((y * target).sum(), parts),
        torch.autograd.grad((plain * target).sum(), parts),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected)


def test_a_style_of_zero_has_a_gradient():
    network = network_of(2)
    affine = network.synthesis.b32.conv1.affine
    ws = codes_of(network, 1)
    with torch.no_grad():
        affine.weight[2] = 0
        affine.bias[2] = 0
    gradients = []
    for trained in (False, True):
        network.requires_grad_(trained)
        affine.bias.requires_grad_().grad = None
        network.synthesis(ws).square().sum().backward()
        gradients.append(affine.bias.grad)
    assert gradients[1][2] != 0
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("generation", NETWORKS)
def test_changed_weights_are_noticed(generation):
    network = network_of(generation)
    other = copy.deepcopy(network)
    ws = codes_of(network, 1)
    before = network.synthesis(ws)
    assert torch.equal(other.synthesis(ws), before)
    for weight in other.parameters():
        weight.data = weight.data + 0.1
    after = other.synthesis(ws)
    assert not torch.allclose(after, before, atol=1e-3)
    assert torch.equal(network.synthesis(ws), before)
    network.load_state_dict(other.state_dict())
    assert torch.equal(network.synthesis(ws), after)
    for weight in network.parameters():
        weight.sub_(0.1)
    torch.testing.assert_close(network.synthesis(ws), before, rtol=0, atol=1e-4)


@pytest.mark.parametrize("generation", NETWORKS)
def test_what_was_kept_in_inference_mode_serves_gradients_later(generation):
    network = network_of(generation)
    ws = codes_of(network, 1)
    with torch.inference_mode():
        expected = network.synthesis(ws).clone()
    images = network.synthesis(ws.clone().requires_grad_())
    images.sum().backward()
    assert_images_close(images.detach(), expected.clone(), 2 * images_rounding(network, ws))


@pytest.mark.parametrize("generation", NETWORKS)
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 0.005)])
def test_low_precision_gives_about_the_same_images(generation, n, dtype, tolerance):
    network = network_of(generation)
    ws = codes_of(network, n)
    images = network.synthesis(ws, dtype=dtype)
    expected = network.synthesis(ws)
    assert images.dtype == torch.float32
    assert (images - expected).std() < tolerance * expected.std()
    network.requires_grad_()
    trained = network.synthesis(ws, dtype=dtype)
    assert (trained - expected).std() < tolerance * expected.std()


def test_half_precision_survives_large_weights_and_styles():
    network = network_of(2, conv_clamp=256.0)
    ws = codes_of(network, 1)
    expected = network.synthesis(ws)
    layer = network.synthesis.b16.conv1
    with torch.no_grad():
        layer.weight *= 1e4
        layer.affine.weight *= 1e4
        layer.affine.bias *= 1e4
    images = network.synthesis(ws, dtype=torch.float16)
    assert (images - expected).std() < 0.005 * expected.std()


@pytest.mark.parametrize("generation", NETWORKS)
def test_weights_are_assigned_to_a_network_that_was_never_allocated(generation):
    network = network_of(generation)
    with torch.device("meta"):
        empty = NETWORKS[generation](CONFIG)
    empty.load_state_dict(network.state_dict(), assign=True)
    empty.requires_grad_(False)
    ws = codes_of(network, 1)
    assert torch.equal(empty.synthesis(ws), network.synthesis(ws))


@pytest.mark.parametrize("generation", NETWORKS)
def test_a_new_network_gives_images_of_a_sensible_range(generation):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORKS[generation]({**CONFIG, "channels": [32, 32, 32, 32]})
    w = network.mapping(torch.randn(4, 10, generator=seeded()))
    images = network.synthesis(broadcast_w(w, network.num_ws))
    assert 0.2 < images.std() < 5
    assert 0.5 < w.std() < 2


@pytest.mark.parametrize(
    ("generation", "changes", "message"),
    [
        (1, {"channels": [4, 4]}, "2 widths are not those of 32 pixels"),
        (2, {"channels": []}, "0 widths are not those of 32 pixels"),
        (2, {"architecture": "x"}, "architecture is skip, orig or resnet, not x"),
        (1, {"label": "x"}, "label is embed, concat, or none with c_dim 0, not x with c_dim 0"),
        (2, {"c_dim": 4}, "label is embed, concat, or none with c_dim 0, not none with c_dim 4"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(generation, changes, message):
    with pytest.raises(ValueError, match=message):
        NETWORKS[generation]({**CONFIG, **changes})


def test_the_number_of_ws_is_two_a_resolution():
    assert [count_ws(r) for r in (8, 32, 64, 256, 1024)] == [4, 8, 10, 14, 18]
    assert network_of(1).num_ws == network_of(2).num_ws == 8


def test_truncation_draws_the_first_layers_towards_the_mean():
    ws, mean = torch.randn(2, 8, 5, generator=seeded()), torch.randn(5, generator=seeded(1))
    torch.testing.assert_close(truncate(ws, mean, 1.0), ws)
    torch.testing.assert_close(truncate(ws, mean, 0.0), mean.expand(2, 8, 5))
    torch.testing.assert_close(truncate(ws, mean, 0.7), mean + 0.7 * (ws - mean))
    partly = truncate(ws, mean, 0.7, cutoff=3)
    torch.testing.assert_close(partly[:, :3], mean + 0.7 * (ws[:, :3] - mean))
    assert torch.equal(partly[:, 3:], ws[:, 3:])


def test_mixing_takes_the_second_ws_from_a_layer_on():
    first, second = torch.zeros(2, 8, 5), torch.ones(2, 8, 5)
    mixed = mix_styles(first, second, 3)
    assert torch.equal(mixed.sum(dim=(0, 2)), torch.tensor([0.0] * 3 + [10.0] * 5))
    assert torch.equal(mix_styles(first, second, 0), second)
    assert torch.equal(mix_styles(first, second, 8), first)


def test_a_w_is_the_same_in_every_layer():
    w = torch.randn(2, 5, generator=seeded())
    ws = broadcast_w(w, 8)
    assert ws.shape == (2, 8, 5)
    assert all(torch.equal(ws[:, i], w) for i in range(8))
