"""What several workers cost: `latentmap encode` by two of them, in each way, and by one process.

    python benchmarks/shards.py [ways] [--images 8000] [--quick]
    python benchmarks/shards.py kills [--images 8000] [--quick]
    python benchmarks/shards.py ray-nodes [--numbers 60]

``ways`` encodes 40 shards with the bundled ``vae``: by one process, by two, by two tasks of a Slurm
array and by two of torchrun (as their variables say it), and by two workers of Ray, each with a
thread. Everything that a user waits for counts: planning, starting, committing. The ideal is half
of the one process. The codes are compared. ``kills`` does the same while a worker is killed when a
quarter of the shards is there (a task is started again then), the driver is killed and started
again, and a shard is damaged on the disk before the same command is given once more: the seconds
that each costs over a run that nothing happened to. ``ray-nodes`` takes a machine away from a Ray
cluster while it works, and says how long the rest needed. The machine should do nothing else.
"""

from __future__ import annotations

import argparse
import importlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SHARDS = 40
BATCH = 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("ways", "kills", "ray-nodes"), default="ways")
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--numbers", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help="800 images")
    arguments = parser.parse_args()
    # A thread for each worker, and no token in the home of whoever measures.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "ray-nodes":
            lose_a_node(arguments.numbers)
        elif arguments.what == "kills":
            compare_kills(Path(folder), 800 if arguments.quick else arguments.images)
        else:
            compare_ways(Path(folder), 800 if arguments.quick else arguments.images)


def compare_ways(folder: Path, images: int) -> None:
    """Prints the seconds of each way."""
    run([["sample", "svae", "-n", str(images), "--out", "faces.h5"]], folder)
    least = None
    print(f"{images} images, {SHARDS} shards, two workers\n")
    print(f"{'way':24}{'seconds':>9}{'of one process':>16}{'over the ideal':>16}")
    for name, way in WAYS.items():
        cache = name.replace(" ", "-")
        words = ["encode", "vae", "--data", "faces.h5", "--device", "cpu", "--threads", "1"]
        words += ["--batch-size", str(BATCH), "--cache", cache]
        begun = time.perf_counter()
        way([*words], str(-(-images // SHARDS)), folder)
        taken = time.perf_counter() - begun
        least = least or taken
        over = "" if name == "one process" else f"{taken - least / 2:+14.1f} s"
        print(f"{name:24}{taken:8.1f}s{taken / least:16.2f}{over}", flush=True)
        require_same(folder / "one-process", folder / cache)


def compare_kills(folder: Path, images: int) -> None:
    """Prints what it costs when something dies in each way."""
    run([["sample", "svae", "-n", str(images), "--out", "faces.h5"]], folder)
    shard = str(-(-images // SHARDS))
    words = ["encode", "vae", "--data", "faces.h5", "--device", "cpu", "--threads", "1"]
    words += ["--batch-size", str(BATCH)]
    one([*words, "--cache", "one-process"], shard, folder)
    print(f"{images} images, {SHARDS} shards, two workers\n")
    print(f"{'what is killed':36}{'seconds':>9}{'over none':>12}")
    alone = [*words, "--shard-images", shard, "--workers", "2", "--cache"]
    by_ray = [*alone[:-1], "--engine", "ray", "--cache"]
    place = [*words, "--shard", "auto", "--cache"]
    for name, calm, killed in (
        ("a worker of two processes", processes, lambda at: worker_dies([*alone, at], folder)),
        ("a worker of Ray", ray, lambda at: worker_dies([*by_ray, at], folder)),
        ("the driver, and again", processes, lambda at: driver_dies([*alone, at], folder)),
        ("a task of Slurm, and again", slurm, lambda at: task_dies(place, shard, at, folder)),
        ("nobody: a shard is damaged", None, lambda at: shard_rots([*alone, at], folder)),
    ):
        cache = name.replace(" ", "-").replace(",", "").replace(":", "")
        least = 0.0
        if calm is not None:
            least = timed(calm, [*words, "--cache", f"{cache}-calm"], shard, folder)
        taken = timed(killed, cache)
        print(f"{name:36}{taken:8.1f}s{taken - least:+11.1f}s", flush=True)
        require_same(folder / "one-process", folder / cache)


def worker_dies(words: list[str], folder: Path) -> None:
    """Kills one worker when a quarter is there, and waits for the rest."""
    with started(words, folder) as process:
        wait_for_quarter(folder / words[-1])
        os.kill(worker_of(process.pid), signal.SIGKILL)
        if process.wait():
            raise SystemExit(f"latentmap {' '.join(words)} ended with {process.returncode}")


def driver_dies(words: list[str], folder: Path) -> None:
    """Kills the command when a quarter is there, and gives it again."""
    with started(words, folder) as process:
        wait_for_quarter(folder / words[-1])
        process.kill()
    run([words], folder)


def task_dies(words: list[str], shard: str, cache: str, folder: Path) -> None:
    """Kills one of two tasks of an array, and starts it again."""
    plan = [word for word in words if word not in ("--shard", "auto")]
    run([[*plan, cache, "--shard-images", shard, "--plan"]], folder)
    places = [{"SLURM_ARRAY_TASK_ID": str(at), "SLURM_ARRAY_TASK_COUNT": "2"} for at in (0, 1)]
    with started([*words, cache], folder, places[0]) as dying:
        with started([*words, cache], folder, places[1]) as other:
            wait_for_quarter(folder / cache)
            dying.kill()
            dying.wait()
            run([[*words, cache]], folder, places[:1])
            other.wait()
    run([["cache", "commit", "--cache", cache]], folder)


def shard_rots(words: list[str], folder: Path) -> None:
    """Encodes, damages a committed shard, and gives the command again: the time of that."""
    run([words], folder)
    path = sorted((folder / words[-1]).rglob("shard-*.h5"))[SHARDS // 2]
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(bytes(data))
    run([words], folder)


def started(
    words: list[str], folder: Path, place: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "latentmap.cli", *words],
        cwd=folder,
        env={**os.environ, **(place or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_quarter(cache: Path) -> None:
    """Waits until a quarter of the shards is made."""
    while len([*cache.rglob("shard-*.h5"), *cache.glob("plans/*/shard-??????")]) < SHARDS // 4:
        time.sleep(0.02)


def worker_of(driver: int) -> int:
    """A process that makes shards: one of the driver's own, or an actor of Ray."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if words.startswith(b"ray::Worker"):
            return int(path.name)
        if parent == driver and b"spawn_main" in words:
            found = int(path.name)
            # That of Ray's driver has actors elsewhere.
            if b"ray" not in (Path("/proc") / str(driver) / "cmdline").read_bytes():
                return found
    raise SystemExit("there is no worker to kill")


def timed(work: Callable[..., object], *arguments: object) -> float:
    begun = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begun


def one(words: list[str], shard: str, folder: Path) -> None:
    run([[*words, "--shard-images", shard, "--workers", "1"]], folder)


def processes(words: list[str], shard: str, folder: Path) -> None:
    run([[*words, "--shard-images", shard, "--workers", "2"]], folder)


def ray(words: list[str], shard: str, folder: Path) -> None:
    run([[*words, "--shard-images", shard, "--workers", "2", "--engine", "ray"]], folder)


def slurm(words: list[str], shard: str, folder: Path) -> None:
    places = [{"SLURM_ARRAY_TASK_ID": str(one), "SLURM_ARRAY_TASK_COUNT": "2"} for one in (0, 1)]
    by_parts(words, shard, folder, places)


def torchrun(words: list[str], shard: str, folder: Path) -> None:
    places = [{"RANK": one, "LOCAL_RANK": one, "WORLD_SIZE": "2"} for one in ("0", "1")]
    by_parts(words, shard, folder, places)


def by_parts(words: list[str], shard: str, folder: Path, places: list[dict[str, str]]) -> None:
    """Plans, has each place make its part at the same time, and commits."""
    run([[*words, "--shard-images", shard, "--plan"]], folder)
    run([[*words, "--shard", "auto"]] * len(places), folder, places)
    run([["cache", "commit", "--cache", words[-1]]], folder)


WAYS = {
    "one process": one,
    "processes": processes,
    "Slurm array": slurm,
    "torchrun": torchrun,
    "Ray": ray,
}


def run(
    commands: list[list[str]], folder: Path, places: list[dict[str, str]] | None = None
) -> None:
    """Runs commands of ``latentmap`` at the same time, and waits for all."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "latentmap.cli", *command],
            cwd=folder,
            env={**os.environ, **place},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command, place in zip(commands, places or [{}] * len(commands), strict=True)
    ]
    for process in running:
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"latentmap {' '.join(commands[0])}: {errors}")


def require_same(first: Path, second: Path) -> None:
    """Ends where the shards of two caches differ in a byte."""
    one, other = (
        {path.name: path.read_bytes() for path in cache.rglob("shard-*.h5")}
        for cache in (first, second)
    )
    if one != other or len(one) != SHARDS:
        raise SystemExit(f"{first.name} and {second.name} hold other codes")


@dataclass(frozen=True)
class Waiting:
    """Work that takes half a second a number."""

    def __call__(self, worker: int):
        return lambda number: time.sleep(0.5)


def lose_a_node(numbers: int) -> None:
    """Prints when numbers were done by two machines, one of which leaves."""
    from latentmap.engines import by_ray

    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32)
    )
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20},
    )
    try:
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=80 << 20) for _ in range(2)]
        begun, done = time.perf_counter(), []
        # Workers import it by the name of this file, which is not the name that it runs by.
        waiting = importlib.import_module(Path(__file__).stem).Waiting()
        for number in by_ray(waiting, range(numbers), workers=2, address=cluster.address):
            done.append(number)
            if len(done) == numbers // 4:
                print(f"{time.perf_counter() - begun:5.1f} s  {len(done)} done; a machine leaves")
                cluster.remove_node(nodes[0], allow_graceful=False)
        print(f"{time.perf_counter() - begun:5.1f} s  {len(done)} done")
        if sorted(done) != [*range(numbers)]:
            raise SystemExit("numbers are missing, or were done twice")
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
