"""StyleGAN 3's synthesis, T and R, against a plain formulation, and the share of its filters.

    python benchmarks/stylegan3.py [--sizes 256] [--kinds T,R] [--quick]
    python benchmarks/stylegan3.py --device cuda

The plain formulation inserts zeros, filters them by one depthwise convolution with the whole kernel
in two dimensions, and scales the weights of every image for a grouped convolution. Widths are those
of the published networks. Everything is measured in turns, so that a busy machine slows all alike;
the medians of the comparisons of a turn are printed. On one thread, processor time is measured.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as functional
from torch import Tensor

from latentmap.encoders.nets import stylegan3_layers
from latentmap.encoders.nets.stylegan3 import StyleGAN3
from latentmap.encoders.nets.stylegan3_layers import FilteredConv
from latentmap.encoders.nets.stylegan3_resampling import filtered_activation


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="256")
    parser.add_argument("--kinds", default="T,R")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="64 pixels, one round")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sizes, arguments.rounds = "64", 1
    torch.set_num_threads(1)
    for size in map(int, arguments.sizes.split(",")):
        for kind in arguments.kinds.split(","):
            network = network_of(kind, size).to(arguments.device)
            compare(network, f"{kind}, {size} px", arguments.device, arguments.rounds)


def network_of(kind: str, size: int) -> StyleGAN3:
    base, most = {"T": (32768, 512), "R": (65536, 1024)}[kind]
    cutoffs = [2 * (size / 4) ** min(i / 12, 1) for i in range(14)]
    config: dict[str, Any] = {
        "image_shape": [3, size, size],
        "latent_dim": 512,
        "z_dim": 512,
        "c_dim": 0,
        "label": "none",
        "channels": [round(min(base / 2 / cutoff, most)) for cutoff in cutoffs],
        "mapping_layers": 2,
        "mapping_multiplier": 0.01,
        "kernel": 3 if kind == "T" else 1,
        "radial": kind == "R",
        "critical": 2,
        "first_cutoff": 2.0,
        "first_stopband": 2**2.1,
        "last_stopband_rel": 2**0.3,
        "margin": 10,
        "output_scale": 0.25,
        "conv_clamp": 256.0,
    }
    torch.manual_seed(0)
    return StyleGAN3(config).requires_grad_(False)


def compare(network: StyleGAN3, what: str, device: str, rounds: int) -> None:
    ws = torch.randn(1, network.num_ws, 512).to(device)
    clock = Clock(device)
    difference = (network.synthesis(ws) - plain_images(network, ws)).abs().max()
    rows = []
    for _ in range(rounds):
        with torch.no_grad():
            forward, filters = measured(network, ws, clock)
            plain = clock(lambda: plain_images(network, ws))
        gradient = clock(lambda: with_gradient(network, ws))
        rows.append((plain / forward, filters / forward, gradient / forward, forward))
    times, share, longer, seconds = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    print(
        f"{what}: {seconds:.2f} s an image, {times:.2f} times as fast as plain (largest difference "
        f"{float(difference):.1e}); filters are {share:.0%}; with gradient {longer:.2f} times as "
        "long",
        flush=True,
    )


class Clock:
    """Seconds that a call takes on a device; of the processor's time on a CPU."""

    def __init__(self, device: str) -> None:
        self.on_cpu = device == "cpu"
        self.now = time.process_time if self.on_cpu else time.perf_counter

    def __call__(self, call: Callable[[], object]) -> float:
        started = self.now()
        call()
        if not self.on_cpu:
            torch.cuda.synchronize()
        return self.now() - started


def measured(network: StyleGAN3, ws: Tensor, clock: Clock) -> tuple[float, float]:
    """Seconds of the images, and of the filtered activations therein."""
    within: list[float] = []

    def timed(*arguments: Any) -> Tensor:
        results: list[Tensor] = []
        within.append(clock(lambda: results.append(filtered_activation(*arguments))))
        return results[0]

    with mock.patch.object(stylegan3_layers, "filtered_activation", timed):
        seconds = clock(lambda: network.synthesis(ws))
    return seconds, sum(within)


def with_gradient(network: StyleGAN3, ws: Tensor) -> None:
    ws = ws.clone().requires_grad_()
    network.synthesis(ws).square().sum().backward()


def plain_images(network: StyleGAN3, ws: Tensor) -> Tensor:
    """Images by zeros that are inserted, and whole kernels."""
    x = network.synthesis.input(ws[:, 0])
    for i, layer in enumerate(network.synthesis.layers(), start=1):
        x = (
            plain_layer(layer, x, ws[:, i])
            if isinstance(layer, FilteredConv)
            else layer(x, ws[:, i])
        )
    return x * network.synthesis.output_scale


def plain_layer(layer: FilteredConv, x: Tensor, w: Tensor) -> Tensor:
    plan, n = layer.plan, len(x)
    weight = layer.weight * layer.weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
    styles = layer.affine(w)
    styles = styles * styles.square().mean().rsqrt()
    weight = weight * styles[:, None, :, None, None]
    weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    weight = weight * layer.magnitude_ema.rsqrt()
    edge = weight.shape[-1] - 1
    x = functional.conv2d(x.flatten(0, 1)[None], weight.flatten(0, 1), padding=edge, groups=n)
    x = x.unflatten(1, (n, -1))[0] + layer.bias[:, None, None]
    zeros = x.new_zeros(*x.shape[:2], plan.up * x.shape[2], plan.up * x.shape[3])
    zeros[:, :, :: plan.up, :: plan.up] = x
    total = (plan.size - 1) * plan.down + 1 + plan.up_taps + plan.down_taps - 2 - zeros.shape[2]
    zeros = functional.pad(zeros, 2 * (plan.before, total - plan.before))
    y = depthwise(zeros, torch.outer(layer.up_filter, layer.up_filter) * plan.up**2, 1)
    y = (functional.leaky_relu(y, 0.2) * math.sqrt(2)).clamp(-256, 256)
    down = layer.down_filter
    return depthwise(y, down if down.ndim == 2 else torch.outer(down, down), plan.down)


def depthwise(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    kernels = kernel.expand(x.shape[1], 1, -1, -1).contiguous()
    return functional.conv2d(x, kernels, stride=stride, groups=x.shape[1])


if __name__ == "__main__":
    main()
