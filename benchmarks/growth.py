"""How time and memory grow with the number of codes, for what the commands call by their defaults.

    python benchmarks/growth.py [--quick] [--works fit,evaluate,...] [--most 3600]

Two exact models of 16 variables and grey images of 8 by 8 pixels, 10,000, 100,000 and 1,000,000 of
them (``--quick``: 1,000, 10,000 and 100,000), whose codes are in a cache. Each point is a process
of its own that makes its images before it is measured. Printed are processor seconds of the work,
and megabytes at most in it and before it; files that are mapped into memory count. The exponent is
that by which seconds grow from the size before: 1 is linear, and less is where something does not
grow, such as the images that variables race on. A point that is not done after ``--most`` seconds
is given up, and larger ones of its kind with it. ``floor`` is one pass over the codes.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latentmap.cache import Coder, Entries, EntryKey, LatentCache
from latentmap.comparison import compare_models
from latentmap.expressiveness import BenchOptions, bench
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.images import ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.mapping import fit
from latentmap.model import Model
from latentmap.model.testing import LinearModel
from latentmap.relocation.relocating import score_models
from latentmap.support import build_support_set, order_variables

SHAPE = (1, 8, 8)
VARIABLES = 16
BLOCK = 4096
SIZES = (10_000, 100_000, 1_000_000)
FITTED = 1000  # Pairs of the map that is evaluated on all others.


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--works", default=",".join(WORKS), help="separated by commas")
    parser.add_argument("--most", type=float, default=3600.0, help="seconds of a point")
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point is not None:
        print(json.dumps(measure(arguments.point[0], int(arguments.point[1]))))
        return
    sizes = [size // 10 for size in SIZES] if arguments.quick else SIZES
    print(f"{'work':10}{'codes':>11}{'seconds':>10}{'MB':>7}{'before':>8}{'exponent':>10}")
    for name in arguments.works.split(","):
        before: float | None = None
        for size in sizes:
            found = point(name, size, arguments.most)
            if found is None:
                print(f"{name:10}{size:11,}  not done after {arguments.most:.0f} s", flush=True)
                break
            seconds, most, least = found
            grown = "" if before is None else f"{math.log10(seconds / before):.2f}"
            print(
                f"{name:10}{size:11,}{seconds:10.2f}{most:7.0f}{least:8.0f}{grown:>10}", flush=True
            )
            before = seconds


def point(name: str, size: int, most: float) -> tuple[float, float, float] | None:
    """Processor seconds, and megabytes at most and before, in a process of its own."""
    command = [sys.executable, __file__, "--point", name, str(size)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=most)
    except subprocess.TimeoutExpired:
        return None
    except subprocess.CalledProcessError as error:
        sys.exit(f"{name} of {size} codes failed:\n{error.stderr}")
    seconds, largest, before = json.loads(run.stdout)
    return seconds, largest, before


@dataclass(frozen=True)
class Scene:
    """Models, images, and a coder on a cache that has the codes of both."""

    models: tuple[Model, Model]
    images: ImageSource
    coder: Coder


def measure(name: str, size: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        scene = make_scene(Path(folder), size)
        work = WORKS[name](scene)
        with suppress(OSError):  # Of Linux alone: what was needed before is forgotten.
            Path("/proc/self/clear_refs").write_text("5")
        before = peak()
        started = time.process_time()
        work()
        return [time.process_time() - started, peak(), before]


def peak() -> float:
    """Megabytes that this process has had at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def make_scene(folder: Path, n: int) -> Scene:
    first = LinearModel(VARIABLES, SHAPE, seed=1, name="first")
    second = LinearModel(VARIABLES, SHAPE, seed=2, name="second")
    generator = torch.Generator().manual_seed(0)
    # Variables of different weight, and noise that no model shows.
    weight = 0.8 ** torch.arange(VARIABLES)
    pixels = np.lib.format.open_memmap(
        folder / "images.npy", "w+", np.uint8, (n, SHAPE[1], SHAPE[2], 1)
    )
    for start in range(0, n, BLOCK):
        codes = 2 * torch.rand(min(BLOCK, n - start), VARIABLES, generator=generator) - 1
        shown = first.decode(codes * weight)
        shown = (shown + 0.02 * torch.randn(shown.shape, generator=generator)).clamp_(0, 1)
        pixels[start : start + BLOCK] = (shown * 255).round().permute(0, 2, 3, 1).numpy()
    pixels.flush()
    images = ImageSource(
        ArrayImages(np.load(folder / "images.npy", mmap_mode="r"), "n"), np.arange(n)
    )
    cache = LatentCache(folder / "cache")
    for model in (first, second):
        write_codes(cache, model, images)
    return Scene((first, second), images, Coder(cache))


def write_codes(cache: LatentCache, model: Model, images: ImageSource) -> None:
    key = EntryKey.of(model, images, precision="float32")
    writer = cache.writer(
        key, space=model.space, frame=model.frame, ids=images.ids, digests=images.digests
    )
    with writer:
        for batch in images.batches([model.view], batch_size=BLOCK):
            codes = model.encode_pixels(batch.images[0]).numpy()
            writer.append(batch.positions, codes, stop=batch.stop)
        writer.finish()


Work = Callable[[], object]


def floor_of(scene: Scene) -> Work:
    pairs = scene.coder.pairs(*scene.models, scene.images)
    return lambda: [part.double().sum() for part in pairs.source.blocks()]


def fit_of(scene: Scene) -> Work:
    pairs = scene.coder.pairs(*scene.models, scene.images)
    return lambda: fit(pairs)


def evaluate_of(scene: Scene) -> Work:
    few = scene.coder.pairs(*scene.models, scene.images).take(np.arange(FITTED // 2))
    linear_map = fit(few)
    return lambda: score_models([linear_map], *scene.models, scene.images, scene.coder)


def compare_of(scene: Scene) -> Work:
    return lambda: compare_models(scene.models, scene.images, scene.coder)


def order_of(scene: Scene) -> Work:
    return lambda: order_variables(scene.models[0], scene.images, scene.coder)


def build_of(scene: Scene) -> Work:
    return lambda: build_support_set(scene.models[0], scene.images, scene.coder)


def bench_of(scene: Scene) -> Work:
    every = ImageSet.of_images(scene.images, None, name="all")
    options = BenchOptions(methods=["network"])
    return lambda: bench([scene.models[0]], [every], scene.coder, options=options)


def verify_of(scene: Scene) -> Work:
    return Entries(scene.coder.cache.path).verify


WORKS: dict[str, Callable[[Scene], Work]] = {
    "floor": floor_of,
    "fit": fit_of,
    "evaluate": evaluate_of,
    "compare": compare_of,
    "order": order_of,
    "build": build_of,
    "bench": bench_of,
    "verify": verify_of,
}


if __name__ == "__main__":
    main()
