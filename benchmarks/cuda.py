"""Images a second that `encode` makes codes of on a GPU, by precision, against the bare forward.

    python benchmarks/cuda.py [--seconds 8] [--quick] [--device cuda]

A line for each model and precision: images/s of ``encode`` by its defaults, on images that lie as
bytes in memory and as JPEG files in a zip; images/s of the encoder alone, on a batch of bytes that
lies on the device, in the same precision; and the shares. Models: a convolutional VAE of 64 pixels
as people train them, the bundled Split-VAE, and TAESD's encoder for images of 256 pixels, all with
weights of chance where it ships none. Five minutes at most. Without a GPU it says so; ``--device
cpu --quick`` tries the script.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from latentmap.cache import encode
from latentmap.cache.encoding import BATCH_SIZE
from latentmap.encoders import build, load
from latentmap.images import ImageSource, open_images
from latentmap.images.arrays import ArrayImages
from latentmap.model import Model, Precision

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
ROUNDS = 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="for each figure, about")
    parser.add_argument("--quick", action="store_true", help="half a second for each")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("there is no GPU here that torch can use: nothing was measured")
    device = torch.device(arguments.device)
    place = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
    print(f"{place}, torch {torch.__version__}, batches of {BATCH_SIZE}, images/s\n")
    heads = ("model", "precision", "bare", "in memory", "share", "JPEG", "share")
    print("{:22} {:10} {:>9} {:>10} {:>6} {:>9} {:>6}".format(*heads))
    seconds = 0.5 if arguments.quick else arguments.seconds
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models(device):
            for precision in PRECISIONS:
                line = measured(model, precision, seconds, Path(folder))
                print(f"{name:22} {precision:10} {line}", flush=True)


def models(device: torch.device) -> Iterator[tuple[str, Model]]:
    """What is measured, the one after the other."""
    torch.manual_seed(0)
    config = {"image_shape": [3, 64, 64], "latent_dim": 128, "architecture": "conv"}
    yield "VAE, 64 px", build("vae", {**config, "widths": [128, 256, 512]}, name="vae").to(device)
    yield "Split-VAE, 64 px", load("svae", device=str(device))
    deep = [["halve", 64], *3 * [["block", 64]]]
    config = {
        "image_shape": [3, 256, 256],
        "latent_dim": 4 * 32 * 32,
        "latent_shape": [4, 32, 32],
        "encoder": [["conv", 64], ["block", 64], *3 * deep, ["conv", 4]],
    }
    yield "TAESD, 256 px", build("tiny-autoencoder", config, name="taesd").to(device)


def measured(model: Model, precision: Precision, seconds: float, folder: Path) -> str:
    """The figures of one model in one precision."""
    channels, height, width = model.image_shape
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (BATCH_SIZE, height, width, channels), dtype=np.uint8)
    bare = rate_of_forward(model, pixels, precision, seconds)
    n = int(np.clip(bare * seconds, BATCH_SIZE, (2 << 30) // pixels[0].size))
    pixels = np.concatenate([pixels] * -(-n // BATCH_SIZE))[:n]
    in_memory = ImageSource(ArrayImages(pixels, "noise"), np.arange(n))
    files = open_images(zipped(folder, height, width, n), limit=n)
    rates = [rate_of_encode(model, one, precision) for one in (in_memory, files)]
    memory, jpeg = rates
    return f"{bare:9.0f} {memory:10.0f} {memory / bare:6.2f} {jpeg:9.0f} {jpeg / bare:6.2f}"


def rate_of_forward(
    model: Model, pixels: np.ndarray, precision: Precision, seconds: float
) -> float:
    """Images/s of the encoder alone, of one batch that lies on the device."""
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(model.device)
    batch = batch.contiguous(memory_format=torch.channels_last)

    def forward(times: int) -> float:
        begun = time.perf_counter()
        for _ in range(times):
            model.encode_pixels(batch, precision=precision)
        wait(model.device)
        return time.perf_counter() - begun

    forward(2)
    times = max(int(seconds / ROUNDS / forward(1)), 1)
    return times * len(batch) / min(forward(times) for _ in range(ROUNDS))


def rate_of_encode(model: Model, images: ImageSource, precision: Precision) -> float:
    """Images/s of what a user calls."""
    best = best_of(lambda: encode(model, images, precision=precision))
    return len(images) / best


def best_of(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def zipped(folder: Path, height: int, width: int, n: int) -> Path:
    """A zip of JPEG files of smooth noise, a thousand of them again and again."""
    path = folder / f"{height}x{width}-{n}.zip"
    if path.exists():
        return path
    random, files = np.random.default_rng(0), []
    for _ in range(min(n, 1000)):
        few = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        out = io.BytesIO()
        few.resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
        files.append(out.getvalue())
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(n):
            archive.writestr(f"{number:07d}.jpg", files[number % len(files)])
    return path


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
