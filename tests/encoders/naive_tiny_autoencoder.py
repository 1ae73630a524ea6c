"""The TAESD family by hand: state dictionaries, and what they do with an image, a line a layer.

Written from the description of the published files alone, for tests of the networks here.
"""

import torch
from torch.nn import functional as F


def conv(state, name, x, stride=1):
    return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding=1)


def block(state, name, x):
    if f"{name}.pool.0.weight" in state:
        wide = F.conv2d(x, state[f"{name}.pool.0.weight"])
        scale, shift = state[f"{name}.pool.1.weight"], state[f"{name}.pool.1.bias"]
        grouped = wide.reshape(len(x), 4, -1)
        mean, variance = grouped.mean(2, keepdim=True), grouped.var(2, keepdim=True, correction=0)
        wide = ((grouped - mean) / (variance + 1e-5).sqrt()).reshape(wide.shape)
        wide = F.relu(wide * scale[:, None, None] + shift[:, None, None])
        x = x + F.conv2d(wide, state[f"{name}.pool.3.weight"])
    skip = x
    if f"{name}.skip.weight" in state:
        skip = F.conv2d(x, state[f"{name}.skip.weight"])
    for layer in (0, 2, 4):
        x = conv(state, f"{name}.conv.{layer}", F.relu(x) if layer else x)
    return F.relu(x + skip)


def stages(state, number, x):
    """Three times a convolution that halves the size and three blocks."""
    for _ in range(3):
        x = conv(state, f"{number}", x, stride=2)
        for inner in range(number + 1, number + 4):
            x = block(state, f"{inner}", x)
        number += 4
    return conv(state, f"{number}", x)


def encode(state, images):
    x = block(state, "1", conv(state, "0", images))
    return stages(state, 2, x)


def encode_sana(state, images):
    x = F.relu(conv(state, "0", images, stride=2))
    x = F.relu(conv(state, "2", x, stride=2))
    return stages(state, 5, block(state, "4", x))


def decode(state, grids, doublings=3):
    x = F.relu(conv(state, "1", torch.tanh(grids / 3) * 3))
    number = 3
    for _ in range(doublings):
        for inner in range(number, number + 3):
            x = block(state, f"{inner}", x)
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = conv(state, f"{number + 4}", x)
        number += 5
    x = block(state, f"{number}", x)
    return conv(state, f"{number + 1}", x).clamp(0, 1)


class _State(dict[str, torch.Tensor]):
    """A state dictionary of small random weights."""

    def __init__(self, seed):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def add(self, name, outputs, inputs, size=3, bias=True):
        scale = 0.5 * (2 / (inputs * size * size)) ** 0.5
        weight = torch.randn(outputs, inputs, size, size, generator=self.generator)
        self[f"{name}.weight"] = weight * scale
        if bias:
            self[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=self.generator)

    def add_block(self, name, outputs, inputs, pooled=False):
        for layer, taken in ((0, inputs), (2, outputs), (4, outputs)):
            self.add(f"{name}.conv.{layer}", outputs, taken)
        if inputs != outputs:
            self.add(f"{name}.skip", outputs, inputs, 1, bias=False)
        if pooled:
            self.add(f"{name}.pool.0", 4 * inputs, inputs, 1, bias=False)
            self.add(f"{name}.pool.3", inputs, 4 * inputs, 1, bias=False)
            self[f"{name}.pool.1.weight"] = torch.rand(4 * inputs, generator=self.generator)
            self[f"{name}.pool.1.bias"] = torch.rand(4 * inputs, generator=self.generator) - 0.5


def encoder_state(channels, *, width=8, pooled=False, sana=False, seed=0):
    """The state dictionary of a published encoder, but for its width."""
    state = _State(seed)
    number = 2
    if sana:
        state.add("0", width // 2, 3)
        state.add("2", width, width // 2)
        number = 5
    else:
        state.add("0", width, 3)
    state.add_block(f"{number - 1}", width, width)
    for stage in range(3):
        state.add(f"{number}", width, width, bias=False)
        for inner in range(number + 1, number + 4):
            state.add_block(f"{inner}", width, width, pooled and stage == 2)
        number += 4
    state.add(f"{number}", channels, width)
    return {**state}


def decoder_state(channels, *, widths=(8, 8, 8, 8), pooled=False, seed=1):
    """The state dictionary of a published decoder, but for its widths, one a size."""
    state = _State(seed)
    state.add("1", widths[0], channels)
    number = 3
    for width, wider in zip(widths[1:], widths, strict=False):
        for inner in range(number, number + 3):
            state.add_block(f"{inner}", wider, wider, pooled and number == 3)
        state.add(f"{number + 4}", width, wider, bias=False)
        number += 5
    state.add_block(f"{number}", widths[-1], widths[-1])
    state.add(f"{number + 1}", 3, widths[-1])
    return {**state}
