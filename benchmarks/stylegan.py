"""StyleGAN 2's synthesis against the convolution peak of this machine, and a grouped formulation.

    python benchmarks/stylegan.py [--sizes 64,256] [--batches 1,8] [--quick]
    python benchmarks/stylegan.py --device cuda
    python benchmarks/stylegan.py --bfloat16    # minutes on a processor that has no such type

Useful work is that of the convolutions as they are defined, counted from the widths (channel_base
16384, at most 512); minimal filtering does with less, so that its share of the peak may be above 1.
The peak is the best of a few large 3x3 convolutions, channels last. Everything is measured in
turns, so that a busy machine slows all alike, and compared within a turn; the medians of the
comparisons are printed. On one thread, processor time is measured, which other programs disturb
less.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan_layers import upsample

# (images, channels, pixels a side) of the convolutions that may be the peak.
PEAK_SHAPES = ((2, 512, 32), (1, 256, 64), (1, 128, 128))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="64,256")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--threads", help="such as 1,2; one and all by default")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bfloat16", action="store_true", help="the same in bfloat16, too")
    parser.add_argument("--quick", action="store_true", help="64 pixels, one image, three rounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sizes, arguments.batches, arguments.rounds = "64", "1", 3
    threads = numbers(arguments.threads or f"1,{torch.get_num_threads()}")
    for size in numbers(arguments.sizes):
        network = network_of(size).to(arguments.device)
        for batch in numbers(arguments.batches):
            for count in sorted(set(threads)) if arguments.device == "cpu" else threads[:1]:
                torch.set_num_threads(count)
                clock = Clock(arguments.device, count)
                compare(network, size, batch, clock, arguments.rounds)
                if arguments.bfloat16:
                    in_bfloat16(network, batch, clock)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def widths_of(size: int) -> list[int]:
    return [min(16384 // 2**i, 512) for i in range(2, int(math.log2(size)) + 1)]


def network_of(size: int) -> StyleGAN2:
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "image_shape": [3, size, size],
        "latent_dim": 512,
        "z_dim": 512,
        "c_dim": 0,
        "label": "none",
        "channels": widths_of(size),
        "mapping_layers": 8,
        "mapping_multiplier": 0.01,
        "architecture": "skip",
        "conv_clamp": None,
    }
    return StyleGAN2(config).requires_grad_(False)


def work_of(size: int) -> float:
    """Floating-point operations an image: convolutions, transposed ones, and filters."""
    total, inputs = 0, None
    for i, width in enumerate(widths_of(size)):
        pixels = (4 * 2**i) ** 2
        total += 2 * 9 * width * width * pixels
        if inputs is not None:
            total += 2 * 9 * inputs * width * pixels // 4 + 2 * 16 * width * pixels
        inputs = width
    return float(total)


class Clock:
    """Seconds that a call takes on a device, of the processor's time on one thread."""

    def __init__(self, device: str, threads: int) -> None:
        self.device = device
        self.threads = threads
        on_one = device == "cpu" and threads == 1
        self._now = time.process_time if on_one else time.perf_counter

    def __call__(self, call: Callable[[], object], times: int = 1) -> float:
        """The least of ``times`` measurements."""
        return min(self._once(call) for _ in range(times))

    def _once(self, call: Callable[[], object]) -> float:
        started = self._now()
        call()
        if self.device != "cpu":
            torch.cuda.synchronize()
        return self._now() - started


def compare(network: StyleGAN2, size: int, batch: int, clock: Clock, rounds: int) -> None:
    ws = torch.randn(batch, network.num_ws, 512).to(clock.device)
    # A GPU's convolutions are meant for half precision, a CPU's for single.
    dtype = torch.float32 if clock.device == "cpu" else torch.float16
    peaks = {
        f"{n}x{channels}x{side}x{side}": peak_call(n, channels, side, dtype, clock.device)
        for n, channels, side in PEAK_SHAPES
    }
    repeats = 3 if batch == 1 else 1
    useful = work_of(size) * batch / 1e9
    rows: list[dict[str, float]] = []
    grouped = []
    for turn in range(rounds + 1):
        with torch.no_grad():
            rates = {
                name: statistics.median(work / clock(call) / 1e9 for _ in range(5))
                for name, (call, work) in peaks.items()
            }
            forward = clock(lambda: network.synthesis(ws, dtype=dtype), repeats)
        gradient = clock(lambda: with_gradient(network, ws, dtype), repeats)
        # The first turn warms up.
        if turn:
            rows.append({"forward": forward, "gradient": gradient, **rates})
    with torch.no_grad():
        for _ in range(rounds + 1):
            grouped.append(clock(lambda: grouped_images(network, ws, dtype), repeats))
    best = max(peaks, key=lambda name: statistics.median(row[name] for row in rows))
    peak = statistics.median(row[best] for row in rows)
    forward = statistics.median(row["forward"] for row in rows)
    share = statistics.median(useful / row["forward"] / row[best] for row in rows)
    ratio = statistics.median(row["gradient"] / row["forward"] for row in rows)
    print(
        f"{size} px, {batch} image(s), {clock.threads} thread(s): {batch / forward:.2f} images/s, "
        f"{useful / forward:.0f} of {peak:.0f} GFLOP/s ({best}) = {share:.0%} of the peak; "
        f"with gradient {ratio:.2f} times as long; "
        f"grouped {batch / min(grouped):.2f} images/s, this "
        f"{min(grouped) / min(row['forward'] for row in rows):.2f} times as fast",
        flush=True,
    )


def in_bfloat16(network: StyleGAN2, batch: int, clock: Clock) -> None:
    ws = torch.randn(batch, network.num_ws, 512).to(clock.device)
    with torch.no_grad():
        seconds = clock(lambda: network.synthesis(ws, dtype=torch.bfloat16), times=3)
    print(f"  in bfloat16 {batch / seconds:.2f} images/s", flush=True)


def peak_call(
    n: int, channels: int, side: int, dtype: torch.dtype, device: str
) -> tuple[Callable[[], Tensor], float]:
    x = torch.randn(n, channels, side, side).to(device, dtype, memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3) / channels
    weight = weight.to(device, dtype, memory_format=torch.channels_last)
    work = 2 * 9 * n * channels**2 * side**2
    return lambda: functional.conv2d(x, weight, padding=1), float(work)


def with_gradient(network: StyleGAN2, ws: Tensor, dtype: torch.dtype) -> None:
    ws = ws.clone().requires_grad_()
    network.synthesis(ws, dtype=dtype).square().sum().backward()


def grouped_images(network: StyleGAN2, ws: Tensor, dtype: torch.dtype) -> Tensor:
    """Images by one grouped convolution a layer: the images as groups, each with weights of its
    own, rows of pixels in memory.
    """
    x = network.synthesis.blocks()[0].const.to(dtype).repeat(len(ws), 1, 1, 1)
    first, images = 0, None
    for block in network.synthesis.blocks():
        for layer in block.layers():
            style = layer.affine(ws[:, first])
            weight = layer.weight * style[:, None, :, None, None]
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
            x = grouped(x, weight, up=layer.up)
            x = x + (layer.noise_strength * layer.noise_const + layer.bias[:, None, None]).to(dtype)
            x = functional.leaky_relu(x, 0.2) * math.sqrt(2)
            first += 1
        assert block.torgb is not None
        style = block.torgb.affine(ws[:, first]) / math.sqrt(x.shape[1])
        weight = block.torgb.weight * style[:, None, :, None, None]
        colors = grouped(x, weight, up=False).float() + block.torgb.bias[:, None, None]
        images = colors if images is None else upsample(images) + colors
    assert images is not None
    return images


def grouped(x: Tensor, weight: Tensor, *, up: bool) -> Tensor:
    n = len(x)
    x, weight = x.flatten(0, 1)[None], weight.to(x.dtype)
    if up:
        x = functional.conv_transpose2d(x, weight.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
        row = torch.tensor([0.25, 0.75, 0.75, 0.25], dtype=x.dtype, device=x.device)
        kernel = torch.outer(row, row).repeat(x.shape[1], 1, 1, 1)
        x = functional.conv2d(x, kernel, padding=1, groups=x.shape[1])
    else:
        x = functional.conv2d(x, weight.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
    return x.unflatten(1, (n, -1))[0]


if __name__ == "__main__":
    main()
