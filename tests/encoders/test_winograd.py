"""Minimal filtering against convolutions that are written out, alone and in a StyleGAN 2."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from latentmap.encoders.nets.stylegan_modulation import StyledConv
from latentmap.encoders.nets.winograd import convolve_minimal, transform_weight
from tests.encoders.naive_stylegan import conv

EPSILON = torch.finfo(torch.float32).eps


def parts_of(n, inputs, outputs, height, width, *, dtype):
    generator = torch.Generator().manual_seed(height)
    x = torch.randn(n, inputs, height, width, generator=generator, dtype=dtype)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator, dtype=dtype)
    styles = torch.randn(n, inputs, generator=generator, dtype=dtype)
    scales = 0.5 + torch.rand(n, outputs, generator=generator, dtype=dtype)
    return x.contiguous(memory_format=torch.channels_last), weight, styles, scales


def written_out(x, weight, styles, scales):
    x, weight, styles, scales = (part.double().numpy() for part in (x, weight, styles, scales))
    images = [
        scale[:, None, None] * conv(image * style[:, None, None], weight)
        for image, style, scale in zip(x, styles, scales, strict=True)
    ]
    return torch.from_numpy(np.stack(images))


def minimal(x, weight, styles, scales):
    seen = []
    y = convolve_minimal(
        x,
        transform_weight(weight),
        styles=styles,
        scales=scales,
        finish=lambda part, rows: seen.append((part, rows)),
    )
    assert y.dtype == x.dtype and y.is_contiguous(memory_format=torch.channels_last)
    # Every row is given once, and what is given is the result itself.
    given = [row for _, rows in seen for row in range(rows.start, rows.stop)]
    assert given == [*range(y.shape[2])]
    for part, rows in seen:
        assert part.data_ptr() == y[:, :, rows].data_ptr() and part.shape == y[:, :, rows].shape
    return y, len(seen)


# In one strip, in several, in strips of one row of tiles; a side of one tile.
@pytest.mark.parametrize(
    ("n", "inputs", "outputs", "height", "width", "strips"),
    [(1, 3, 5, 8, 12, 1), (3, 5, 3, 4, 4, 1), (2, 2, 3, 48, 64, 2), (1, 1, 2, 8, 1024, 2)],
)
def test_minimal_filtering_is_a_convolution(n, inputs, outputs, height, width, strips):
    parts = parts_of(n, inputs, outputs, height, width, dtype=torch.float64)
    y, found = minimal(*parts)
    torch.testing.assert_close(y, written_out(*parts), rtol=1e-11, atol=1e-11)
    assert found == strips


@pytest.mark.parametrize("channels", [64, 256])
def test_minimal_filtering_rounds_no_more_than_a_plain_sum(channels):
    parts = parts_of(1, channels, 16, 32, 32, dtype=torch.float32)
    exact = written_out(*parts)
    error = (minimal(*parts)[0] - exact).std() / exact.std()
    # That of sums of k products that are rounded at every step; see ``rounding``.
    assert error < math.sqrt(9 * channels) * EPSILON / 2


@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("noise", [None, "one", "each"])
@pytest.mark.parametrize("n", [1, 3])
def test_a_layer_without_gradients_is_that_with_them(n, noise, clamp):
    layer = layer_of(64, 32, clamp=clamp)
    x, w, maps = inputs_of(layer, n, noise)
    assert not layer(x, w, maps).requires_grad
    with_gradient = layer(x, w.clone().requires_grad_(), maps)
    assert with_gradient.requires_grad
    unbounded = layer_of(64, 32)(x, w, maps)
    tolerance = math.sqrt(9 * 64) * EPSILON * float(unbounded.abs().max())
    torch.testing.assert_close(layer(x, w, maps), with_gradient.detach(), rtol=0, atol=tolerance)


def test_only_layers_that_gain_from_it_have_their_products_saved(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "latentmap.encoders.nets.stylegan_modulation.convolve_minimal",
        lambda x, *_, **__: calls.append(x.shape) or x,
    )
    for channels, side in ((64, 32), (63, 32), (64, 28), (64, 33)):
        layer = layer_of(channels, side)
        layer(*inputs_of(layer, 1, None))
    assert calls == [(1, 64, 32, 32)]
    layer = layer_of(64, 32)
    x, w, _ = inputs_of(layer, 1, None)
    for asked in (x, w, layer.weight, layer.affine.bias):
        asked.requires_grad_()
        layer(x, w, None)
        asked.requires_grad_(False)
    layer(x.bfloat16(), w, None)
    assert len(calls) == 1


def test_changed_weights_are_noticed():
    layer = layer_of(64, 32)
    inputs = inputs_of(layer, 1, None)
    before = layer(*inputs)
    nn.init.ones_(layer.weight)
    after = layer(*inputs)
    assert (after - before).abs().max() > 0.1
    with_gradient = layer(inputs[0], inputs[1].clone().requires_grad_(), None).detach()
    torch.testing.assert_close(after, with_gradient, rtol=0, atol=1e-4 * float(after.abs().max()))


def layer_of(channels, side, *, clamp=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = StyledConv(channels, channels, 8, side, up=False, gain=math.sqrt(2), clamp=clamp)
        layer.bias.data += torch.randn(channels)
        layer.noise_strength.data += 0.5
    return layer.requires_grad_(False)


def inputs_of(layer, n, noise):
    generator = torch.Generator().manual_seed(1)
    side = len(layer.noise_const)
    x = torch.randn(n, len(layer.weight), side, side, generator=generator)
    w = torch.randn(n, 8, generator=generator)
    maps = {
        None: None,
        "one": layer.noise_const[None, None],
        "each": torch.randn(n, 1, side, side, generator=generator),
    }
    return x.contiguous(memory_format=torch.channels_last), w, maps[noise]
