"""Encoding against its parts: the bare forward of the network, and bare decoding.

    python benchmarks/encode.py faces.zip [--widths 128,256,512] [--limit 4000] [--rounds 5]

Packed images are compared with the bare forward (goal: at least 0.95), files with the slower of
bare forward and bare decoding (goal: at least 0.90). Everything is measured in the same run,
interleaved; ratios are medians. On a machine without GPU decoding takes processor time from the
network: ``possible`` is the ratio that is left when both need the same processors, 1 / (1 + forward
/ decoding).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from latentmap.cache.encoding import BATCH_SIZE, encode_batches
from latentmap.encoders import build
from latentmap.frames import Frame
from latentmap.images import ImageSource, View, load_all, open_images, pack_images
from latentmap.model import Model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--frame", default="full")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--widths", default="128,256,512")
    parser.add_argument("--limit", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    images = open_images(arguments.data, limit=arguments.limit)
    view = View(Frame(arguments.frame), (arguments.size, arguments.size), 3)
    model = model_of(view, arguments)
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / "pack.h5"
        pack_images(images, view, pack)
        packed = open_images(pack)
        pixels = load_all(packed, view)[0]
        measures: dict[str, Callable[[], None]] = {
            "forward": lambda: forward(model, pixels),
            "decoding": lambda: decode(images, view),
            "packed": lambda: consume(model, packed),
            "files": lambda: consume(model, images),
        }
        speeds: dict[str, list[float]] = {name: [] for name in measures}
        for call in measures.values():
            call()
        for _ in range(arguments.rounds):
            for name, call in measures.items():
                started = time.perf_counter()
                call()
                speeds[name].append(len(images) / (time.perf_counter() - started))
    for name, values in speeds.items():
        print(f"{name:<10} {statistics.median(values):9.1f} images/s")
    rounds = list(zip(*speeds.values(), strict=True))
    print(f"packed / forward           {median(p / f for f, _, p, _ in rounds):.3f} (goal 0.95)")
    print(
        f"files / slower of the two  {median(x / min(f, d) for f, d, _, x in rounds):.3f} (goal "
        "0.90)"
    )
    print(
        "possible on one processor  "
        f"{median(1 / (1 + min(f, d) / max(f, d)) for f, d, _, _ in rounds):.3f}"
    )


def model_of(view: View, arguments: argparse.Namespace) -> Model:
    torch.manual_seed(0)
    config = {
        "architecture": "conv",
        "image_shape": [view.channels, *view.size],
        "latent_dim": 64,
        "widths": [int(width) for width in arguments.widths.split(",")],
    }
    return build("vae", config, frame=view.frame).to(arguments.device)


def forward(model: Model, pixels: torch.Tensor) -> None:
    """The network alone, on floats that are on its device already, in the batches of encode."""
    codes = None
    with torch.no_grad():
        for batch in pixels[:BATCH_SIZE].split(BATCH_SIZE):
            ready = (batch.float() / 255).to(model.device)
        for batch in pixels.split(BATCH_SIZE):
            codes = model.network.encode(ready[: len(batch)])[0]  # type: ignore[operator]
    assert codes is not None
    codes.cpu()


def decode(images: ImageSource, view: View) -> None:
    for _ in images.batches([view], batch_size=BATCH_SIZE):
        pass


def consume(model: Model, images: ImageSource) -> None:
    for _ in encode_batches([model], images):
        pass


def median(values: object) -> float:
    return statistics.median(values)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
