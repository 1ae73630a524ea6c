"""StyleGAN 3 against its formulas, written out independently in ``naive_stylegan3``; its laws."""

import copy
import math

import numpy as np
import pytest
import torch

from latentmap.encoders.nets import stylegan3_resampling
from latentmap.encoders.nets.stylegan3 import StyleGAN3
from latentmap.encoders.nets.stylegan3_geometry import signals
from tests.encoders.foreign_writers import STYLEGAN3_R, STYLEGAN3_T, random_weights
from tests.encoders.naive_stylegan import arrays, mapped
from tests.encoders.naive_stylegan3 import filters_of, fourier, layers_of, synthesized
from tests.encoders.rounding import rounding_error

KINDS = {"T": STYLEGAN3_T, "R": STYLEGAN3_R}


@pytest.fixture(params=KINDS)
def config(request):
    return KINDS[request.param]


def network_of(config):
    """A network all of whose weights matter."""
    network = StyleGAN3(config).requires_grad_(False)
    network.load_state_dict(random_weights("stylegan3", config))
    return network


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def codes_of(network, n, *, seed=0):
    """ws with a w of its own in every layer."""
    shape = (n, network.num_ws, len(network.mapping.w_avg))
    return torch.randn(shape, generator=seeded(seed))


def naive_images(network, config, ws):
    return torch.from_numpy(synthesized(arrays(network), config, ws.detach().double().numpy()))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"conv_clamp": 0.5},
        {"conv_clamp": None, "critical": 1, "margin": 7, "output_scale": 1.0},
        {"image_shape": [1, 64, 64], "channels": [6, 5, 4, 4, 3, 2]},
        {"image_shape": [3, 16, 16], "channels": [66, 65, 3]},
    ],
    ids=str,
)
def test_the_images_are_those_of_the_formulas(config, changes):
    config = {**config, **changes}
    network = network_of(config)
    ws = codes_of(network, 2)
    expected = naive_images(network, config, ws)
    exact_ws = ws.double()
    tolerance = rounding_error(
        network, lambda exact: exact.synthesis(exact_ws, dtype=torch.float64)
    )
    assert tolerance < 1e-3 * expected.std()
    for gradients in (False, True):
        images = network.synthesis(ws.clone().requires_grad_(gradients)).detach()
        assert images.shape == expected.shape and images.dtype == torch.float32
        assert images.std() > 0.02
        torch.testing.assert_close(images.double(), expected, rtol=0, atol=tolerance)


def test_every_layer_is_that_of_the_formulas(config):
    # In double precision rounding hides nothing, wherever in the network it may be.
    network = network_of(config).double()
    weights, ws = arrays(network), codes_of(network, 2).double()
    features = network.synthesis.input(ws[:, 0]).numpy()
    expected = np.stack([fourier(weights, config, w) for w in ws[:, 0].numpy()])
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-12)
    images = network.synthesis(ws, dtype=torch.float64)
    expected = naive_images(network, config, ws)
    # The filters are stored in single precision.
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-6)


def test_the_mapping_is_that_of_the_formulas(config):
    config = {**config, "label": "embed", "c_dim": 4, "embed_dim": 7}
    network = network_of(config)
    z = torch.randn(5, config["z_dim"], generator=seeded())
    classes = torch.eye(4)[[0, 3, 1, 1, 2]]
    expected = mapped(arrays(network), config, z.numpy(), labels=classes.numpy(), generation=3)
    w = network.mapping(z, classes)
    torch.testing.assert_close(w.double(), torch.as_tensor(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size", "base", "most"), [(1024, 32768, 512), (256, 65536, 1024)])
def test_the_filters_and_sizes_are_those_of_the_formulas(config, size, base, most):
    critical = 2
    cutoffs = [2 * (size / 4) ** min(i / 12, 1) for i in range(14)]
    widths = [round(min(base / 2 / cutoff, most)) for cutoff in cutoffs]
    config = {**config, "image_shape": [3, size, size], "channels": widths}
    steps = signals(config)
    assert [step.size for step in steps[-3:]] == [size + 20, size, size]
    assert [step.is_critical for step in steps] == [False] * 12 + [True] * (1 + critical)
    for step, layer in zip(steps, layers_of(config), strict=True):
        found = (step.cutoff, step.half_width, step.rate, step.size)
        assert found == pytest.approx((layer["c"], layer["h"], layer["s"], layer["n"]))
    designed = iter(StyleGAN3.designed(config).values())
    for i in range(14):
        up, down, _, _ = filters_of(config, i)
        made_up, made_down = (next(designed).double() for _ in range(2))
        np.testing.assert_allclose(torch.outer(made_up, made_up), up, rtol=0, atol=1e-7)
        both = made_down if made_down.ndim == 2 else torch.outer(made_down, made_down)
        assert (made_down.ndim == 2) == (config["radial"] and i < 12)
        np.testing.assert_allclose(both, down, rtol=0, atol=1e-7)


def test_parts_that_are_filtered_apart_fit_together(config, monkeypatch):
    network = network_of(config).double()
    ws = codes_of(network, 3).double().requires_grad_()
    target = torch.randn(3, *config["image_shape"], generator=seeded(1)).double()

    def made():
        images = network.synthesis(ws, dtype=torch.float64)
        return images.detach(), torch.autograd.grad((images * target).sum(), ws)[0]

    whole = made()
    monkeypatch.setattr(stylegan3_resampling, "_CHANNELS", 3)
    monkeypatch.setattr(stylegan3_resampling, "_NUMBERS", 1000)
    for part, expected in zip(made(), whole, strict=True):
        torch.testing.assert_close(part, expected)


def test_gradients_in_w_are_those_of_the_formulas(config):
    network = network_of(config)
    ws = codes_of(network, 1).requires_grad_()
    direction = codes_of(network, 1, seed=1).double()
    target = torch.randn(1, *config["image_shape"], generator=seeded(2))
    (network.synthesis(ws) * target).sum().backward()
    start, step = ws.detach().double(), 1e-6
    ahead, behind = (
        naive_images(network, config, start + sign * step * direction) for sign in (1, -1)
    )
    slope = ((ahead - behind) * target).sum() / (2 * step)
    error = (ws.grad * direction).sum() - slope
    assert error.abs() < 1e-5 * ws.grad.norm() * direction.norm()


@pytest.mark.parametrize("clamp", [None, 0.5])
def test_gradients_in_every_weight_are_the_differences_of_the_images(config, clamp):
    config = {**config, "image_shape": [1, 8, 8], "channels": [3, 2], "critical": 1, "margin": 2}
    network = network_of({**config, "conv_clamp": clamp}).double()
    ws = codes_of(network, 2).double()
    names = [name for name, _ in network.synthesis.named_parameters()]

    def images(*weights):
        state = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(network.synthesis, state, (ws,), {"dtype": torch.float64})

    weights = [x.detach().requires_grad_() for x in network.synthesis.parameters()]
    assert torch.autograd.gradcheck(images, weights, fast_mode=True)


def test_an_image_does_not_depend_on_the_others_of_its_batch(config):
    network = network_of(config).double()
    ws = codes_of(network, 3).double()
    # Styles far apart: the batch's mean square is not an image's.
    ws[1] *= 30
    alone = torch.cat([network.synthesis(row[None], dtype=torch.float64) for row in ws])
    torch.testing.assert_close(network.synthesis(ws, dtype=torch.float64), alone)
    # In the formulas it is divided by, and cancels but for an epsilon of 1e-8.
    expected = naive_images(network, config, ws)
    torch.testing.assert_close(alone, expected, rtol=0, atol=1e-5)


def test_changed_weights_and_filters_are_noticed(config):
    network = network_of(config)
    ws = codes_of(network, 1)
    before = network.synthesis(ws)
    other = copy.deepcopy(network)
    assert torch.equal(other.synthesis(ws), before)
    for name, value in other.state_dict().items():
        if name.endswith(("filter", "weight", "bias")):
            value.mul_(1 + 0.1 * torch.rand(value.shape, generator=seeded()))
    after = other.synthesis(ws)
    assert not torch.allclose(after, before, atol=1e-3)
    assert torch.equal(network.synthesis(ws), before)
    network.load_state_dict(other.state_dict())
    assert torch.equal(network.synthesis(ws), after)


def smooth(config):
    """A network whose images are smooth: only the first layers' frequencies are strong."""
    network = network_of({**config, "image_shape": [3, 64, 64], "channels": [16] * 8})
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith(("bias", "affine.weight")):
            value.zero_()
        if name.endswith(("affine.bias", "magnitude_ema")):
            value.fill_(1)
    state["synthesis.input.affine.bias"].copy_(torch.tensor([1.0, 0, 0, 0]))
    state["synthesis.input.transform"].copy_(torch.eye(3))
    return network


def moved(network, ws, matrix):
    other = copy.deepcopy(network)
    other.synthesis.input.transform.copy_(torch.tensor(matrix))
    return other.synthesis(ws)


def peak_signal(images, expected):
    """Decibels, of the images' own spread."""
    return -10 * math.log10(float((images - expected).square().mean() / expected.var()))


@pytest.mark.parametrize("pixels", [8, 8.5])
def test_the_image_moves_with_its_input(config, pixels):
    network = smooth(config)
    ws = codes_of(network, 1)
    image = network.synthesis(ws)
    shifted = moved(network, ws, [[1, 0, -pixels / 64], [0, 1, 0], [0, 0, 1]])
    if pixels == int(pixels):
        expected = image.roll(int(pixels), dims=3)
    else:
        # Between pixels: by the phases of its Fourier series.
        turn = torch.exp(-2j * math.pi * torch.fft.fftfreq(64) * pixels)
        expected = torch.fft.ifft(torch.fft.fft(image, dim=3) * turn, dim=3).real
    inside = slice(16, 48)
    assert peak_signal(shifted[..., inside, inside], expected[..., inside, inside]) > 30


def test_only_r_turns_with_its_input():
    quality = {}
    for kind, config in KINDS.items():
        network = smooth(config)
        ws = codes_of(network, 1)
        turned = moved(network, ws, [[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
        image = network.synthesis(ws)
        quality[kind] = max(peak_signal(turned, image.rot90(k, dims=(2, 3))) for k in (1, 3))
    assert quality["R"] > 60
    assert quality["T"] < 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": 5}, "kernel is 1 or 3, not 5"),
        ({"image_shape": [3, 48, 48]}, "the size is a power of two from 8 to 2048, not 48"),
        ({"critical": 4}, "4 layers, 4 of them critical"),
        ({"margin": 100}, "margin 100"),
        ({"first_cutoff": 20}, "cutoffs from 20.0 to 16.0"),
        ({"last_stopband_rel": 0.9}, "no room to fall in"),
    ],
)
def test_a_configuration_of_no_network_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        StyleGAN3({**STYLEGAN3_T, **changes})


def test_it_makes_images_with_fresh_weights(config):
    torch.manual_seed(0)
    network = StyleGAN3(config).requires_grad_(False)
    images = network.synthesis(codes_of(network, 2))
    assert 0.05 < images.std() < 5
    assert (images[0] - images[1]).abs().mean() > 0.01
    radius = network.synthesis.input.freqs.norm(dim=1)
    assert (radius <= config["first_cutoff"]).all()
