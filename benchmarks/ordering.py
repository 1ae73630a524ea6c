"""The race for the leading variables against measuring every variable on every image.

    python benchmarks/ordering.py MODEL DATA [--split test] [--limit 2000] [--leading 7] [--seeds 3]

The exhaustive measurement runs once, the race once for each seed. Printed are decodes and seconds
of both, their ratios (goal: at least 5 times fewer decodes), whether the leading variables and
their order agree, and how many of the race's intervals hold the exhaustive gain.
"""

from __future__ import annotations

import argparse
import time

import torch

from latentmap.cache import encode
from latentmap.codes import Codes
from latentmap.encoders import load
from latentmap.images import ImageSource, open_images
from latentmap.model import Model
from latentmap.support import Ordering, OrderOptions
from latentmap.support.ordering import order_by_gain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--split", choices=("train", "val", "test"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--leading", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    model = load(arguments.model, device=arguments.device)
    images = open_images(arguments.data, split=arguments.split, limit=arguments.limit)
    codes = encode(model, images)
    leading = arguments.leading
    print(f"{model}: {len(images)} images, {torch.get_num_threads()} threads")
    every, slow = timed(model, images, codes, leading=leading, exhaustive=True, seed=0)
    names = every.order[:leading].tolist()
    print(f"exhaustive  {every.decodes:9} decodes {slow:8.1f} s  {names}")
    for seed in range(arguments.seeds):
        raced, fast = timed(model, images, codes, leading=leading, exhaustive=False, seed=seed)
        held = ((raced.low <= every.gain) & (every.gain <= raced.high)).mean()
        same_set = set(raced.order[:leading]) == set(every.order[:leading])
        same_order = (raced.order[:leading] == every.order[:leading]).all()
        print(
            f"race {seed:<6} {raced.decodes:9} decodes {fast:8.1f} s  "
            f"{raced.saved:.1f} times fewer, {slow / fast:.1f} times faster; "
            f"same {leading}: {same_set}, same order: {same_order}; "
            f"intervals that hold: {100 * held:.0f} %"
        )


def timed(
    model: Model,
    images: ImageSource,
    codes: Codes,
    *,
    leading: int,
    exhaustive: bool,
    seed: int,
) -> tuple[Ordering, float]:
    started = time.perf_counter()
    options = OrderOptions(leading, exhaustive)
    ordering = order_by_gain(model, images, codes, options, seed=seed)
    return ordering, time.perf_counter() - started


if __name__ == "__main__":
    main()
