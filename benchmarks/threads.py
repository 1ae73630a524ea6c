"""How much faster the commands are on two processors than on one, by the clock.

    python benchmarks/threads.py [--data faces.zip] [--only fit,encode] [--rounds 3] [--quick]

Every command runs as a user runs it: whole, in a process and a folder of its own, on bundled models
with their defaults, and first of all without anything in a cache. Of images it takes 4,000 that the
bundled StyleGAN made, in a pack, or those of ``--data``: files that have to be decoded scale in
another way. One processor and two take turns, and the least times are compared. On Linux a process
is bound to its processors; elsewhere only the threads of its libraries are counted. The machine
should do nothing else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
COUNTS = (1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="images for fit, encode and compare")
    parser.add_argument("--only", help="some of the commands, such as fit,encode")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few images and steps, one round")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data
        if data is None:
            data = Path(folder) / "faces.h5"
            made = ["sample", "stylegan", "-n", "400" if arguments.quick else "4000"]
            seconds([*made, "--out", str(data)], COUNTS[-1])
        commands = commands_on(data.resolve(), quick=arguments.quick)
        chosen = arguments.only.split(",") if arguments.only else list(commands)
        print(f"{'command':10}" + "".join(f"{n:>8} thread(s)" for n in COUNTS) + "   faster")
        for name in chosen:
            times: dict[int, list[float]] = {count: [] for count in COUNTS}
            for _ in range(rounds):
                for count in COUNTS:
                    times[count].append(seconds(commands[name], count))
            best = [min(times[count]) for count in COUNTS]
            shown = "".join(f"{second:16.1f} s" for second in best)
            print(f"{name:10}{shown}   {best[0] / best[-1]:.2f} times", flush=True)


def commands_on(data: Path, *, quick: bool) -> dict[str, list[str]]:
    """The arguments of ``latentmap``, by the name of what is timed."""
    few = ["--limit", "100"] if quick else []
    images = ["--data", str(data), *few]
    steps = ["--steps", "20", "--starts", "1"] if quick else []
    searched = "8" if quick else "32"
    return {
        "fit": ["fit", "--src", "svae", "--dst", "vae", *images],
        "encode": ["encode", "svae", "vae", *images],
        "sample": ["sample", "stylegan", "-n", "200" if quick else "4000", "--out", "made.h5"],
        "search": ["invert", "stylegan", "--data", str(data), "--limit", searched, *steps],
        "bench": ["bench", "gan", "--set", f"own:{searched}", *steps],
        "compare": ["compare", "svae", "vae", "vae-b", *images],
    }


def seconds(command: list[str], count: int) -> float:
    """How long ``latentmap`` takes for some arguments on so many processors, in a new folder."""
    processors: set[int] = set()
    if hasattr(os, "sched_getaffinity"):
        processors = set(sorted(os.sched_getaffinity(0))[:count])
        if len(processors) < count:
            raise SystemExit(f"this process has but {len(processors)} processor(s)")

    def bind() -> None:
        if processors:
            os.sched_setaffinity(0, processors)

    environment = {**os.environ, **dict.fromkeys(LIBRARIES, str(count))}
    environment["LATENTMAP_CACHE"] = "codes"  # In the new folder: a cache without anything in it.
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "latentmap.cli", *command],
            cwd=folder,
            env=environment,
            preexec_fn=bind,
            capture_output=True,
            text=True,
        )
        taken = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"latentmap {' '.join(command)}: {done.stderr}")
    return taken


if __name__ == "__main__":
    main()
