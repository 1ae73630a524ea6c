"""What a trace costs: the steps of a VAE with and without one, in processor time.

    python benchmarks/tracing.py [--network dense conv] [--epochs 2 10 40] [--rounds 5]

One epoch of 60,000 random images of 28x28, batches of 100, as in a run of `epochs` epochs: that is
how often `latentmap train vae --trace` writes something down. Prints the ratio of every pair of
epochs, which follow each other so that a busy machine slows both, and the median. 100 images are
followed where there are ten labels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.encoders import build
from latentmap.encoders.training.batches import PixelBatches
from latentmap.encoders.training.tracing import TracedRecipe
from latentmap.encoders.training.vae import VAERecipe

SHAPE = [1, 28, 28]
NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {"architecture": "dense", "widths": [256, 64, 32], "latent_dim": 16},
    "conv": {"architecture": "conv", "widths": [16, 32, 64], "latent_dim": 16},
}
BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--epochs", type=int, nargs="+", default=[2, 10, 40])
    parser.add_argument("--followed", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    pixels = torch.randint(0, 256, (arguments.images, *SHAPE), dtype=torch.uint8)
    for name in arguments.network:
        for epochs in arguments.epochs:
            for followed in arguments.followed:
                ratios = [ratio(name, pixels, epochs, followed) for _ in range(arguments.rounds)]
                said = " ".join(f"{one:.3f}" for one in ratios)
                print(
                    f"{name:5}  {epochs:3} epochs  {followed:3} followed  {said}  "
                    f"median {statistics.median(ratios):.3f} (goal: below 1.05)",
                    flush=True,
                )


def ratio(name: str, pixels: Tensor, epochs: int, followed: int) -> float:
    """Processor time of an epoch with a trace, in relation to one without."""
    batches = PixelBatches(pixels, size=BATCH, seed=0)
    plain = recipe_of(name)
    traced = TracedRecipe(
        recipe_of(name),
        pixels,
        np.arange(followed),
        batch_size=BATCH,
        total=epochs * batches.per_epoch,
        seed=0,
    )
    # Turn by turn, a tenth of an epoch each.
    seconds = {False: 0.0, True: 0.0}
    for start in range(0, batches.per_epoch, 60):
        for recipe, key in ((plain, False), (traced, True)):
            began = time.process_time()
            for index in range(start, min(start + 60, batches.per_epoch)):
                recipe.step(batches.batch(index), index)
            seconds[key] += time.process_time() - began
    return seconds[True] / seconds[False]


def recipe_of(name: str) -> VAERecipe:
    torch.manual_seed(0)
    model = build("vae", {**NETWORKS[name], "image_shape": SHAPE})
    network: Any = model.network.requires_grad_(True).train()
    return VAERecipe(network.to(memory_format=torch.channels_last))


if __name__ == "__main__":
    main()
