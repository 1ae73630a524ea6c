"""The training loop against the bare optimisation step, on images that are in memory.

    python benchmarks/train.py [--size 64] [--widths 32,64,128] [--rounds 5]

Prints images/s of both, interleaved so that a busy machine slows both, and the median of the
ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from latentmap.encoders import build
from latentmap.encoders.training.batches import PixelBatches
from latentmap.encoders.training.loop import Length, train_by
from latentmap.encoders.training.vae import VAERecipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--widths", default="32,64,128")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    shape = [3, arguments.size, arguments.size]
    widths = [int(width) for width in arguments.widths.split(",")]
    config = {"architecture": "conv", "image_shape": shape, "latent_dim": 64, "widths": widths}
    pixels = torch.randint(0, 256, (4000, *shape), dtype=torch.uint8)
    ratios = []
    for _ in range(arguments.rounds):
        bare = bare_speed(config, arguments)
        loop = loop_speed(config, pixels, arguments)
        ratios.append(loop / bare)
        print(
            f"bare step {bare:8.1f} images/s   loop {loop:8.1f} images/s   ratio {ratios[-1]:.3f}"
        )
    print(f"median ratio {statistics.median(ratios):.3f} (goal: at least 0.9)")


def recipe_of(config: dict[str, Any], device: str) -> VAERecipe:
    torch.manual_seed(0)
    network = build("vae", config).to(device).network.requires_grad_(True)
    return VAERecipe(network)  # type: ignore[arg-type]


def bare_speed(config: dict[str, Any], arguments: argparse.Namespace) -> float:
    """Forward, loss, backward and Adam on one batch that is on the device already."""
    recipe = recipe_of(config, arguments.device)
    network = recipe.network.train()
    nn.Module.to(network, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = recipe.optimizers["adam"]
    x = torch.rand(arguments.batch_size, *config["image_shape"], device=arguments.device)
    x = x.contiguous(memory_format=torch.channels_last)
    for step in range(arguments.steps + 2):
        if step == 2:
            synchronize(arguments.device)
            started = time.perf_counter()
        mean, log_variance = network.encode(x)
        decoded = network.decode(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean))
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean()
        loss = (decoded - x).square().flatten(1).sum(1).mean() / 2 + kl
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    synchronize(arguments.device)
    return arguments.steps * arguments.batch_size / (time.perf_counter() - started)


def loop_speed(
    config: dict[str, Any], pixels: torch.Tensor, arguments: argparse.Namespace
) -> float:
    """The whole loop, after two steps of warming up; checkpoints as by default."""
    recipe = recipe_of(config, arguments.device)
    marks: list[float] = []

    def progress(done: int, total: int) -> None:
        if done in (2 * arguments.batch_size, total):
            synchronize(arguments.device)
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        train_by(
            recipe,
            PixelBatches(pixels, size=arguments.batch_size, seed=0, device=arguments.device),
            Length(1, 0, steps=arguments.steps + 2),
            folder=Path(folder),
            settings={},
            progress=progress,
        )
    return arguments.steps * arguments.batch_size / (marks[1] - marks[0])


def synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
