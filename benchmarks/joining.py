"""Joining, judging and choosing among many images: seconds and memory by their number.

    python benchmarks/joining.py [--quick] [--variables 12]

Of 10,000, 100,000 and a million random codes with ids as file names have: `pair` of shuffled ids,
`units_of` with groups, `hold_out` of a third, and a support set of sectors along 12 variables, as
`latentmap support build` chooses it. Each runs in a process of its own. Printed are the processor's
seconds, their ratio to one argsort of as many random numbers, the growth of the peak memory, and
how many times more ten times as many images take: near 10 is linear.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np

from latentmap.codes import Codes, Seen, Space, hold_out, pair, units_of
from latentmap.support import ChoiceOptions, choose_support_set

SIZES = (10_000, 100_000, 1_000_000)
QUICK = (2_000, 20_000)
DIM = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="of 2,000 and 20,000 codes")
    parser.add_argument("--variables", type=int, default=12)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for name in TASKS:
        before = None
        for n in QUICK if arguments.quick else SIZES:
            with context.Pool(1) as pool:
                took, unit, memory = pool.apply(measure, (name, n, arguments.variables))
            growth = "" if before is None else f"  {took / before:5.1f} times that of a tenth"
            print(f"{name:14} {n:9,} {took:7.3f} s {took / unit:6.1f} {memory:6.0f} MB{growth}")
            before = took


def measure(name: str, n: int, variables: int) -> tuple[float, float, float]:
    """Seconds of a task, seconds of an argsort, and MB by which the peak memory grew."""
    codes = random_codes(n)
    unit = timed(lambda: np.argsort(np.random.default_rng(1).random(n)))
    task = TASKS[name](codes, variables)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = timed(task)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took, unit, (after - before) / 1024


def timed(task: Callable[[], object]) -> float:
    started = time.process_time()
    task()
    return time.process_time() - started


def random_codes(n: int) -> Codes:
    generator = np.random.default_rng(0)
    return Codes.from_array(
        np.array([f"faces/{i:07d}.png" for i in range(n)]),
        generator.standard_normal((n, DIM), dtype=np.float32),
        space=Space("z", DIM, "random", "0" * 64),
        digests=generator.integers(0, 256, (n, 16), dtype=np.uint8),
    )


def joining(codes: Codes, variables: int) -> Callable[[], object]:
    shuffled = codes.take(np.random.default_rng(2).permutation(len(codes)))
    return lambda: pair(codes, shuffled)


def dividing(codes: Codes, variables: int) -> Callable[[], object]:
    groups = np.random.default_rng(3).integers(0, len(codes) // 3, len(codes))
    return lambda: units_of(codes.digests, groups)


def holding(codes: Codes, variables: int) -> Callable[[], object]:
    return lambda: hold_out(codes.digests, [Seen("fitted", codes.digests[::3])])


def choosing(codes: Codes, variables: int) -> Callable[[], object]:
    leading = range(min(variables, len(codes).bit_length() - 2))
    return lambda: choose_support_set(codes, leading, ChoiceOptions())


TASKS = {"pair": joining, "units_of": dividing, "hold_out": holding, "sectors": choosing}


if __name__ == "__main__":
    main()
