"""StyleGAN 3 in float64 NumPy and SciPy, straight from the formulas and as plainly as they
are written.

Weights are modulated sample by sample, with the styles' mean square of the whole batch; zeros are
inserted, and every filter is a full convolution in two dimensions with SciPy's window. Nothing here
is shared with the package.
"""

import math

import numpy as np
from scipy.signal import fftconvolve, firwin, kaiser_atten, kaiser_beta
from scipy.special import j1

from tests.encoders.naive_stylegan import leaky


def layers_of(config):
    """The cutoff, half-width, rate and size of every layer's signal, from the paper's formulas."""
    count, r = len(config["channels"]), config["image_shape"][1]
    c0, t0 = config["first_cutoff"], config["first_stopband"]
    cn, tn = r / 2, r / 2 * config["last_stopband_rel"]
    layers = []
    for i in range(count + 1):
        e = min(i / (count - config["critical"]), 1)
        c, t = c0 * (cn / c0) ** e, t0 * (tn / t0) ** e
        s = 2 ** math.ceil(math.log2(min(2 * t, r)))
        size = r if i >= count - 1 else s + 2 * config["margin"]
        layers.append({"c": c, "h": max(t, s / 2) - c, "s": s, "n": size})
    return layers


def separable(taps, c, h, rate):
    if taps == 1:
        return np.ones((1, 1))
    row = firwin(taps, c, width=2 * h, fs=rate)
    return np.outer(row, row)


def radial(taps, c, h, rate):
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    r = np.hypot(*np.meshgrid(x, x))
    window = np.kaiser(taps, kaiser_beta(kaiser_atten(taps, 2 * h / (rate / 2))))
    kernel = j1(2 * math.pi * c * r) / (math.pi * r) * np.outer(window, window)
    return kernel / kernel.sum()


def filters_of(config, i):
    """The two filters of layer i in two dimensions, its factors, and the padding ``(before,
    after)`` of the samples between which zeros were inserted.
    """
    layers = layers_of(config)
    a, b = layers[max(i - 1, 0)], layers[i]
    rate = 2 * max(a["s"], b["s"])
    up, down = rate // a["s"], rate // b["s"]
    taps_up, taps_down = 6 * up if up > 1 else 1, 6 * down if down > 1 else 1
    critical = i >= len(config["channels"]) - config["critical"]
    downwards = radial if config["radial"] and not critical else separable
    total = (b["n"] - 1) * down + 1 - (a["n"] + config["kernel"] - 1) * up
    total += taps_up + taps_down - 2
    before = math.floor((total + up) / 2)
    return (
        separable(taps_up, a["c"], a["h"], rate),
        downwards(taps_down, b["c"], b["h"], rate),
        (up, down),
        (before, total - before),
    )


def padded(x, before, after):
    x = np.pad(x, ((0, 0), *[(max(before, 0), max(after, 0))] * 2))
    inside = slice(max(-before, 0), x.shape[1] - max(-after, 0))
    return x[:, inside, inside]


def filtered(x, kernel):
    return fftconvolve(x, kernel[None], mode="valid", axes=(1, 2))


def affine(weights, name, w):
    weight = weights[f"{name}.weight"]
    return weight @ w / math.sqrt(weight.shape[1]) + weights[f"{name}.bias"]


def fourier(weights, config, w):
    """The Fourier features (C, n, n) of one w."""
    layer = layers_of(config)[0]
    a, b, x, y = affine(weights, "synthesis.input.affine", w)
    a, b, x, y = np.array([a, b, x, y]) / math.hypot(a, b)
    turn = np.array([[a, -b, 0], [b, a, 0], [0, 0, 1]])
    shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    matrix = turn @ shift @ weights["synthesis.input.transform"]
    freqs, phases = weights["synthesis.input.freqs"], weights["synthesis.input.phases"]
    phases = phases + freqs @ matrix[:2, 2]
    freqs = freqs @ matrix[:2, :2]
    over = (np.linalg.norm(freqs, axis=1) - layer["c"]) / (layer["s"] / 2 - layer["c"])
    amplitudes = np.clip(1 - over, 0, 1)
    n = layer["n"]
    place = ((np.arange(n) + 0.5) / n * 2 - 1) * n / (2 * layer["s"])
    across, along = np.meshgrid(place, place)
    angles = np.multiply.outer(freqs[:, 0], across) + np.multiply.outer(freqs[:, 1], along)
    waves = np.sin(2 * math.pi * (angles + phases[:, None, None])) * amplitudes[:, None, None]
    weight = weights["synthesis.input.weight"]
    return np.einsum("oi,ihw->ohw", weight, waves) / math.sqrt(len(weight))


def convolved(x, weight):
    """The cross-correlation of (i, h, w) with (o, i, k, k), k - 1 zeros around."""
    edge = weight.shape[-1] - 1
    x = np.pad(x, ((0, 0), (edge, edge), (edge, edge)))
    size = x.shape[1] - edge
    y = np.zeros((len(weight), size, size))
    for row in range(edge + 1):
        for column in range(edge + 1):
            window = x[:, row : row + size, column : column + size]
            y += np.einsum("oi,ihw->ohw", weight[:, :, row, column], window)
    return y


def synthesized(weights, config, ws):
    """Images (n, c, r, r) of ws (n, num_ws, w_dim)."""
    images = [fourier(weights, config, w) for w in ws[:, 0]]
    clamp = config["conv_clamp"] or math.inf
    widths = [*config["channels"], config["image_shape"][0]]
    for i, (layer, width) in enumerate(zip(layers_of(config), widths, strict=True)):
        name = f"synthesis.L{i}_{layer['n']}_{width}"
        styles = np.stack([affine(weights, f"{name}.affine", w) for w in ws[:, i + 1]])
        weight = weights[f"{name}.weight"]
        is_color = i == len(widths) - 1
        if is_color:
            styles = styles / math.sqrt(weight[0].size)
        else:
            weight = weight / np.sqrt((weight**2).mean(axis=(1, 2, 3), keepdims=True))
            styles = styles / np.sqrt((styles**2).mean())
        gain = 1 / math.sqrt(weights[f"{name}.magnitude_ema"])
        bias = weights[f"{name}.bias"][:, None, None]
        for n, style in enumerate(styles):
            own = weight * style[None, :, None, None]
            if not is_color:
                own = own / np.sqrt((own**2).sum(axis=(1, 2, 3), keepdims=True) + 1e-8)
            x = convolved(images[n], own * gain) + bias
            if is_color:
                images[n] = np.clip(x, -clamp, clamp) * config["output_scale"]
                continue
            up_filter, down_filter, (up, down), padding = filters_of(config, i)
            zeros = np.zeros((len(x), up * x.shape[1], up * x.shape[2]))
            zeros[:, ::up, ::up] = x
            x = filtered(padded(zeros, *padding), up_filter * up**2)
            x = np.clip(math.sqrt(2) * leaky(x), -clamp, clamp)
            images[n] = filtered(x, down_filter)[:, ::down, ::down]
    return np.stack(images)
