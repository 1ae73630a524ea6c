"""Reading foreign checkpoints: the inert reader against Python's and torch's own, on equal bytes.

    python benchmarks/checkpoints.py [--megabytes 300] [--rounds 5]

All tensors of three networks are read. Prints seconds of both, interleaved so that a busy machine
slows both, the ratio of the best (goal: at most 2), and the memory of the inert reader's process
above what it had before, for all tensors and for those of one network.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.encoders.checkpoints.values import TensorView

_KERNEL = 512 * 512 * 9 * 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    kernels = max(1, arguments.megabytes * 2**20 // (3 * _KERNEL))
    networks = {name: network(kernels) for name in ("G", "D", "G_ema")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        for protocol in (2, 3, 4, 5):
            with path.open("wb") as file:
                pickle.dump(networks, file, protocol=protocol)
            compare(f"pickle, protocol {protocol}", path, python_reads, arguments.rounds)
        for name, zipped in (("torch, zip", True), ("torch, older stream", False)):
            torch.save(networks, path, _use_new_zipfile_serialization=zipped)
            compare(name, path, torch_reads, arguments.rounds)


def network(kernels: int) -> dict[str, torch.Tensor]:
    """As many 3x3 kernels of 512 channels, and six small tensors for each."""
    tensors = {f"conv{i}.weight": torch.randn(512, 512, 3, 3) for i in range(kernels)}
    return tensors | {f"bias{i}": torch.randn(512) for i in range(6 * kernels)}


def compare(name: str, path: Path, other: Callable[[Path], Any], rounds: int) -> None:
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(seconds(lambda: other(path)))
        ours.append(seconds(lambda: read_all(path)))
    size = path.stat().st_size / 1e6
    print(
        f"{name:22} {size:6.0f} MB   theirs {min(theirs):6.3f} s   ours {min(ours):6.3f} s   ratio "
        f"{min(ours) / min(theirs):5.2f}   memory {memory(path, None):5.0f} MB, of one network "
        f"{memory(path, 'G_ema'):5.0f} MB"
    )


def python_reads(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file)


def torch_reads(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def read_all(path: Path, name: str | None = None) -> list[torch.Tensor]:
    value = open_foreign(path).value
    return [view.load() for view in views(value if name is None else value[name])]


def views(value: Any) -> Iterator[TensorView]:
    for part in value.values():
        if isinstance(part, TensorView):
            yield part
        else:
            yield from views(part)


def seconds(call: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    result = call()
    taken = time.perf_counter() - start
    del result
    return taken


def memory(path: Path, name: str | None) -> float:
    """MB that a fresh process needs for reading; Linux only, else not a number."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (path, name))


def _peak(path: Path, name: str | None) -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")

    def field(wanted: str) -> int:
        (line,) = (line for line in status.read_text().splitlines() if line.startswith(wanted))
        return int(line.split()[1])

    before = field("VmRSS")
    result = read_all(path, name)
    after = field("VmHWM")
    del result
    return (after - before) / 1000


if __name__ == "__main__":
    main()
