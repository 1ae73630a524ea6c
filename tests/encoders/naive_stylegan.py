"""StyleGAN 1 and 2 in float64 NumPy, straight from the formulas and as slowly as they are written.

Weights are modulated sample by sample, filters run over explicitly inserted zeros, and StyleGAN 1
upsamples as its first version does. Nothing here is shared with the package.
"""

import math

import numpy as np
from scipy.signal import convolve2d

SMOOTH = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
BLUR = np.outer([1, 2, 1], [1, 2, 1]) / 16


def arrays(network):
    """The state of a network, as float64 arrays by name."""
    return {key: value.double().numpy() for key, value in network.state_dict().items()}


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def normalized(rows):
    return rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + 1e-8)


def conv(x, weight):
    """The cross-correlation of (i, h, w) with (o, i, k, k), zeros around, tap by tap."""
    size = weight.shape[-1]
    edge = size // 2
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge)))
    height, width = x.shape[1:]
    y = np.zeros((len(weight), height, width))
    for row in range(size):
        for column in range(size):
            window = padded[:, row : row + height, column : column + width]
            y += np.einsum("oi,ihw->ohw", weight[:, :, row, column], window)
    return y


def transposed_conv(x, weight):
    """Every pixel of (i, h, w) stamps the kernels (o, i, k, k) at twice its position."""
    size = weight.shape[-1]
    height, width = x.shape[1:]
    y = np.zeros((len(weight), 2 * height - 2 + size, 2 * width - 2 + size))
    for row in range(height):
        for column in range(width):
            stamp = np.einsum("oiab,i->oab", weight, x[:, row, column])
            y[:, 2 * row : 2 * row + size, 2 * column : 2 * column + size] += stamp
    return y


def insert_zeros(x):
    """A zero after every row and column."""
    channels, height, width = x.shape
    y = np.zeros((channels, 2 * height, 2 * width))
    y[:, ::2, ::2] = x
    return y


def filtered(x, kernel, *, before, after):
    """Every channel between the given paddings, convolved with the kernel."""
    padded = np.pad(x, ((0, 0), (before, after), (before, after)))
    return np.stack([convolve2d(channel, kernel, mode="valid") for channel in padded])


def doubled(x):
    return filtered(insert_zeros(x), 4 * SMOOTH, before=2, after=1)


def dense(weights, name, rows):
    weight = weights[f"{name}.weight"]
    return rows @ weight.T / math.sqrt(weight.shape[1]) + weights[f"{name}.bias"]


def mapped(weights, config, z, *, labels=None, generation):
    """w of z by StyleGAN 1 or 2 (``generation``)."""
    if config["label"] == "concat":
        z = normalized(np.concatenate([z, labels @ weights["mapping.label.weight"]], axis=1))
    elif config["label"] == "embed":
        embedded = dense(weights, "mapping.embed", labels)
        z = np.concatenate([normalized(z), normalized(embedded)], axis=1)
    else:
        z = normalized(z)
    rate = config["mapping_multiplier"]
    for i in range(config["mapping_layers"]):
        weight = weights[f"mapping.fc{i}.weight"] * rate / math.sqrt(z.shape[1])
        bias = weights[f"mapping.fc{i}.bias"] * rate
        if generation == 1:
            z = leaky(z @ (math.sqrt(2) * weight).T + bias)
        else:
            z = math.sqrt(2) * leaky(z @ weight.T + bias)
    return z


def modulated(x, weight, style, *, demodulate=True, up=False):
    weight = weight * style[None, :, None, None]
    if demodulate:
        weight = weight / np.sqrt((weight**2).sum(axis=(1, 2, 3), keepdims=True) + 1e-8)
    if up:
        return filtered(transposed_conv(x, weight), 4 * SMOOTH, before=1, after=1)
    return conv(x, weight)


def synthesized2(weights, config, ws, *, noise):
    """One image (c, r, r) of StyleGAN 2, of ws (num_ws, w_dim); ``noise`` is one map a layer."""
    maps, first = iter(noise), 0
    clamp = config["conv_clamp"] or math.inf
    architecture = config["architecture"]
    x, image = weights["synthesis.b4.const"], None

    def layer(x, name, w, *, up=False, gain=1.0):
        style = dense(weights, f"{name}.affine", w[None])[0]
        y = modulated(x, weights[f"{name}.weight"], style, up=up)
        y = y + weights[f"{name}.noise_strength"] * next(maps)
        y = math.sqrt(2) * leaky(y + weights[f"{name}.bias"][:, None, None])
        return np.clip(y * gain, -clamp * gain, clamp * gain)

    resolution = 4
    while resolution <= config["image_shape"][1]:
        name = f"synthesis.b{resolution}"
        residual = architecture == "resnet" and resolution > 4
        shortcut = x
        if resolution > 4:
            x = layer(x, f"{name}.conv0", ws[first], up=True)
            first += 1
        x = layer(x, f"{name}.conv1", ws[first], gain=math.sqrt(0.5) if residual else 1.0)
        first += 1
        if residual:
            weight = weights[f"{name}.skip.weight"]
            shortcut = doubled(conv(shortcut, weight / math.sqrt(weight.shape[1])))
            x = x + math.sqrt(0.5) * shortcut
        if architecture == "skip" or resolution == config["image_shape"][1]:
            style = dense(weights, f"{name}.torgb.affine", ws[first][None])[0]
            weight = weights[f"{name}.torgb.weight"]
            style = style / math.sqrt(weight.shape[1])
            colors = modulated(x, weight, style, demodulate=False)
            colors = np.clip(colors + weights[f"{name}.torgb.bias"][:, None, None], -clamp, clamp)
            image = colors if image is None else doubled(image) + colors
        resolution *= 2
    return image


def synthesized1(weights, config, ws, *, noise, fused_from=128, epsilon=1e-8):
    """One image (c, r, r) of StyleGAN 1, of ws (num_ws, w_dim); ``noise`` is one map a layer.

    From ``fused_from`` pixels on, upsampling is the fused transposed convolution of the first
    version, whose weight is flipped against that of a convolution.
    """
    maps, styles = iter(noise), iter(ws)
    x = weights["synthesis.b4.const"]

    def epilogue(x, name):
        x = x + weights[f"{name}.noise_weight"][:, None, None] * next(maps)
        x = leaky(x + weights[f"{name}.bias"][:, None, None])
        x = x - x.mean(axis=(1, 2), keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=(1, 2), keepdims=True) + epsilon)
        scale, shift = np.split(dense(weights, f"{name}.affine", next(styles)[None])[0], 2)
        return x * (1 + scale[:, None, None]) + shift[:, None, None]

    def scaled(name):
        weight = weights[name]
        return weight * math.sqrt(2) / math.sqrt(math.prod(weight.shape[1:]))

    resolution = 4
    while resolution <= config["image_shape"][1]:
        name = f"synthesis.b{resolution}"
        if resolution > 4:
            weight = scaled(f"{name}.conv0.weight")
            if resolution >= fused_from:
                stored = np.pad(weight, ((0, 0), (0, 0), (1, 1), (1, 1)))
                fused = (
                    stored[:, :, 1:, 1:]
                    + stored[:, :, :-1, 1:]
                    + stored[:, :, 1:, :-1]
                    + stored[:, :, :-1, :-1]
                )
                x = transposed_conv(x, fused)[:, 1:-1, 1:-1]
            else:
                x = conv(x.repeat(2, axis=1).repeat(2, axis=2), weight)
            x = filtered(x, BLUR, before=1, after=1)
        x = epilogue(x, f"{name}.epi0")
        x = conv(x, scaled(f"{name}.conv1.weight"))
        x = epilogue(x, f"{name}.epi1")
        resolution *= 2
    weight = weights["synthesis.torgb.weight"]
    return (
        conv(x, weight / math.sqrt(weight.shape[1]))
        + weights["synthesis.torgb.bias"][:, None, None]
    )
