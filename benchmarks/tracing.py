"""What a trace costs: whole trainings of a VAE with and without one, in processor time.

    python benchmarks/tracing.py [--data IMAGES] [--network dense conv] [--epochs 10] [--rounds 3]

What `latentmap train vae` does is done with and without `--trace`, by turns, so that a busy machine
slows both. Prints the ratio of every pair of runs, and the median. Without `--data` the images are
60,000 random ones of 28x28 with ten labels, so that a trace follows 100 of them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import Run
from latentmap.encoders.training.tracing import Tracing
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.images import ImageSource, open_images

NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {"architecture": "dense", "widths": [256, 64, 32], "latent_dim": 16},
    "conv": {"architecture": "conv", "widths": [16, 32, 64], "latent_dim": 16},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data")
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = open_images(arguments.data or random_images(folder))
        for network in arguments.network:
            ratios = []
            for _ in range(arguments.rounds):
                plain, traced = (
                    seconds(images, folder, network, arguments.epochs, trace=trace)
                    for trace in (False, True)
                )
                ratios.append(traced / plain)
                print(f"{network:5}  {plain:.1f} s, {traced:.1f} s with a trace", flush=True)
            print(
                f"{network:5}  {arguments.epochs} epochs  "
                f"{' '.join(f'{one:.3f}' for one in ratios)}  "
                f"median {statistics.median(ratios):.3f} (goal: below 1.05)",
                flush=True,
            )


def random_images(folder: Path) -> Path:
    """A file of random images, each with a label."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (60_000, 28, 28), dtype=np.uint8)
    np.savez(folder / "images.npz", images=pixels, labels=np.arange(len(pixels)) % 10)
    return folder / "images.npz"


def seconds(images: ImageSource, folder: Path, network: str, epochs: int, *, trace: bool) -> float:
    """The processor time of a training from the reading of the images to the model file."""
    view = images.view()
    config = {**NETWORKS[network], "image_shape": [view.channels, *view.size]}
    settings = VAESettings("vae", config, epochs)
    watch = Tracing(folder / "a.trace", labels=images.labels) if trace else None
    began = time.process_time()
    train_on_images(images, settings, Run(folder / "a.safetensors", force=True), watch=watch)
    return time.process_time() - began


if __name__ == "__main__":
    main()
