"""The search for codes against the bare work: as many passes forward and for the gradient.

    python benchmarks/inversion.py MODEL... [--batches 16,64] [--perceptual 0.1] [--quick]

Both take as many steps on as many images at a time; the bare work is the decoder, the mean squared
error and its gradient in the codes, with nothing done about it. They are measured in turns and
compared within a turn; the median of the comparisons is printed. On one thread processor time is
measured, which other programs disturb less.

The last column is a whole search with its defaults for ``--images`` images of noise, starts and
all, against its steps done bare.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from latentmap.encoders import load
from latentmap.inversion import SearchSettings
from latentmap.inversion.code_search import search_codes
from latentmap.model import Model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--batches", default="16,64")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--perceptual", type=float, default=0.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="three rounds, no whole search")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clock = Clock(arguments.device)
    rounds = 3 if arguments.quick else arguments.rounds
    print(f"{'model':24} {'batch':>5} {'bare ms':>8} {'search ms':>9} {'ratio':>6} {'whole':>6}")
    for reference in arguments.models:
        model = load(reference, device=arguments.device)
        for batch in map(int, arguments.batches.split(",")):
            settings = SearchSettings(
                steps=arguments.steps, starts=1, perceptual=arguments.perceptual
            )
            bare, searched = compare(model, batch, settings, clock, rounds)
            ratio = statistics.median(b / a for a, b in zip(bare, searched, strict=True))
            per = 1e3 / (batch * arguments.steps)
            whole = ""
            if not arguments.quick:
                each = statistics.median(bare) / (batch * arguments.steps)
                whole = f"{whole_search(model, arguments.images, batch, clock) / each:.3f}"
            print(
                f"{model.name:24} {batch:5} {statistics.median(bare) * per:8.3f} "
                f"{statistics.median(searched) * per:9.3f} {ratio:6.3f} {whole:>6}",
                flush=True,
            )


class Clock:
    """Seconds of a call: of the processor, or, on a GPU, of the wall."""

    def __init__(self, device: str) -> None:
        self._cuda = torch.device(device).type == "cuda"

    def __call__(self, work: Callable[[], object]) -> float:
        now = time.perf_counter if self._cuda else time.process_time
        self._wait()
        started = now()
        work()
        self._wait()
        return now() - started

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize()


def compare(
    model: Model, batch: int, settings: SearchSettings, clock: Clock, rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of the bare work and of the search, round by round."""
    # Noise is never reached, so that no search ends early.
    images, codes = noise(model, batch), model.sample(batch, seed=0)
    targets = images.to(model.device)

    def bare() -> None:
        for _ in range(settings.steps):
            leaf = codes.detach().requires_grad_()
            loss = (model.decode_with_gradient(leaf) - targets).square().mean(dim=(1, 2, 3))
            torch.autograd.grad(loss.sum(), leaf)

    def searched() -> None:
        found = search_codes(model, images, start=codes, search=settings, seed=0, batch_size=batch)
        assert int(found.steps.sum()) == batch * settings.steps

    bare()
    searched()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        times[0].append(clock(bare))
        times[1].append(clock(searched))
    return times


def whole_search(model: Model, n: int, batch: int, clock: Clock) -> float:
    """Seconds that a search takes for each step of an image."""
    images = noise(model, n)
    steps = 0

    def work() -> None:
        nonlocal steps
        steps = int(search_codes(model, images, seed=0, batch_size=batch).steps.sum())

    return clock(work) / steps


def noise(model: Model, n: int) -> torch.Tensor:
    return torch.rand(n, *model.image_shape, generator=torch.Generator().manual_seed(0))


if __name__ == "__main__":
    main()
