"""Seconds of a comparison of six models on 15,000 images whose codes are cached, stage by stage.

    python benchmarks/comparing.py [--images 15000] [--size 64] [--width 32] [--scored 500]

Two VAEs of 64 variables, two Split-VAEs of 150 and two VAEs of 512, with random weights: what is
measured is how long everything takes that is not encoding. The codes share 40 hidden numbers. The
time allowed beside the encodings is 60 s on two cores; processor seconds are printed as well,
because another process may take one of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from latentmap.cache import Coder, EntryKey, LatentCache
from latentmap.comparison import CompareOptions, compare_models
from latentmap.encoders import build
from latentmap.images import ImageSource, open_images
from latentmap.model import Model

ALLOWED = 60.0
HIDDEN = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=15_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=32, help="of the Split-VAEs' first layer")
    parser.add_argument("--scored", type=int, default=128)
    arguments = parser.parse_args()
    models = six_models(arguments.size, arguments.width)
    seconds: dict[str, tuple[float, float]] = {}

    @contextmanager
    def stage(label: str, unit: str = "images") -> Iterator[None]:
        started, used = time.perf_counter(), time.process_time()
        yield None
        seconds[label] = (time.perf_counter() - started, time.process_time() - used)
        print(f"{label:<28}{seconds[label][0]:>9.1f}{seconds[label][1]:>11.1f}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        images = noise_images(Path(folder), arguments.images, arguments.size)
        cache = LatentCache(Path(folder) / "cache")
        write_codes(cache, models, images)
        print(f"{'stage':<28}{'seconds':>9}{'processor':>11}")
        started = time.perf_counter()
        result = compare_models(
            models,
            images,
            Coder(cache, stage=stage),
            options=CompareOptions(scored=arguments.scored),
        )
        whole = time.perf_counter() - started
    used = sum(part for _, part in seconds.values())
    print(f"{'all':<28}{whole:>9.1f}{used:>11.1f}   (allowed: {ALLOWED:.0f})")
    print(
        f"{len(models)} models, {len(result.pairs)} pairs, fitted on {result.n_fit} images, judged "
        f"on {result.n_test}, {result.n_scored} decoded, {result.similarities.n} compared"
    )


def six_models(size: int, width: int) -> list[Model]:
    shape = [3, size, size]
    models = []
    for number, (family, dim) in enumerate(
        [("vae", 64), ("vae", 64), ("split-vae", 150), ("split-vae", 150), *2 * [("vae", 512)]]
    ):
        config = {"image_shape": shape, "latent_dim": dim}
        if family == "vae":
            config |= {"architecture": "conv", "widths": [128, 256, 512]}
        else:
            config |= {"width": width, "embedding": 512}
        torch.manual_seed(number)
        models.append(build(family, config, name=f"{family}-{number}"))
    return models


def noise_images(folder: Path, n: int, size: int) -> ImageSource:
    path = folder / "images.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    np.save(path, pixels)
    images = open_images(str(path))
    images.examine()
    return images


def write_codes(cache: LatentCache, models: list[Model], images: ImageSource) -> None:
    generator = np.random.default_rng(1)
    hidden = generator.standard_normal((len(images), HIDDEN), dtype=np.float32)
    for model in models:
        mixed = hidden @ generator.standard_normal((HIDDEN, model.latent_dim), dtype=np.float32)
        codes = mixed / HIDDEN**0.5 + generator.standard_normal(mixed.shape, dtype=np.float32)
        writer = cache.writer(
            EntryKey.of(model, images, precision="float32"),
            space=model.space,
            frame=model.frame,
            ids=images.ids,
            digests=images.digests,
        )
        with writer:
            for start in range(0, len(images), 4096):
                stop = min(start + 4096, len(images))
                writer.append(np.arange(start, stop), codes[start:stop], stop=stop)
            writer.finish()


if __name__ == "__main__":
    main()
