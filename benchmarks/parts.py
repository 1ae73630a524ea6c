"""Seconds of a processor and peak memory of who plans the shards of a data set, and of a worker
that makes one, by the number of images.

    python benchmarks/parts.py [--rows 100000 1000000 10000000] [--sources array index tars]

An "array" is a .npy of 8x8 pixels whose zeros take no room on the disk; an "index" lists files that
are not there, of which a worker reads the names alone; "tars" hold 10,000 images of 8x8 pixels
each, up to a million images in all. Shards are of 65,536 images, encoded to 4 numbers. Every figure
is of a process of its own; peaks are beside what it takes with its imports and nothing done. With
10^8 rows it takes some minutes, and 2 GB on the disk.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SOURCES = ("array", "index", "tars")
_SHARD, _BATCH = 1 << 16, 256
_A_TAR, _MOST_IN_TARS = 10_000, 1_000_000
_BLOCK = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=(10**5, 10**6, 10**7))
    parser.add_argument("--sources", choices=SOURCES, nargs="+", default=SOURCES)
    parser.add_argument("--folder", help="Where files are written; by default that of TMPDIR.")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        task, path, folder = arguments.child
        print(json.dumps(run(task, path, Path(folder))))
        return
    print("source       images  shards  plan s  plan MB  a shard s  a shard MB  plan files MB")
    for source in arguments.sources:
        for rows in arguments.rows:
            if source == "tars" and rows > _MOST_IN_TARS:
                continue
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                path = {"array": array, "index": index, "tars": tars}[source](Path(folder), rows)
                planned, made = (child(task, path, folder) for task in ("plan", "shard"))
            print(
                f"{source:6}  {rows:>11,}  {planned['shards']:>6,}  {planned['seconds']:>6.1f}  "
                f"{planned['peak'] / 1e6:>7.0f}  {made['seconds']:>9.1f}  "
                f"{made['peak'] / 1e6:>10.0f}  {planned['size'] / 1e6:>13.2f}",
                flush=True,
            )


def child(task: str, path: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", task, path, folder]
    found: dict[str, Any] = json.loads(subprocess.check_output(command, text=True))
    return found


def array(folder: Path, rows: int) -> str:
    path = folder / "many.npy"
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows, 8, 8)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 64 * rows)
    return str(path)


def index(folder: Path, rows: int) -> str:
    from latentmap.images.index_file import STEP

    (folder / "many").mkdir()
    head = {"format": "latentmap index", "version": 1, "folder": "many", "images": rows}
    with (folder / "many.index").open("wb") as file:
        file.write(json.dumps({**head, "bytes": 14 * rows}).encode() + b"\n")
        for start in range(0, rows, _BLOCK):
            numbers = np.arange(start, min(start + _BLOCK, rows))
            lines = np.tile(np.frombuffer(b"000000000.jpg\n", np.uint8), (len(numbers), 1))
            for place in range(9):
                lines[:, 8 - place] += (numbers // 10**place % 10).astype(np.uint8)
            file.write(lines.tobytes())
        places = [14 * place for place in range(0, rows, STEP)]
        file.write(json.dumps({"places": places}).encode() + b"\n")
    return str(folder / "many.index")


def tars(folder: Path, rows: int) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(stream, "PNG")
    data = stream.getvalue()
    for number, start in enumerate(range(0, rows, _A_TAR)):
        with tarfile.open(folder / f"many-{number:03}.tar", "w") as archive:
            for name in range(start, min(start + _A_TAR, rows)):
                member = tarfile.TarInfo(f"{name:09}.png")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return str(folder / "many-*.tar")


def run(task: str, path: str, folder: Path) -> dict[str, Any]:
    from latentmap.cache import LatentCache, encode_shard, plan_shards, start_plan
    from latentmap.cache.plan_folder import PlanFolder, find_plans
    from latentmap.images import open_parts
    from latentmap.images.parts import counts_in
    from latentmap.model.testing import LinearModel

    model, cache = LinearModel(4, (1, 8, 8)), LatentCache(folder / "codes")
    # What the first pass through a network takes is not of the images.
    encode_few(model)
    before, start = peak(), time.process_time()
    whole = (0.0, 255.0)
    if task == "plan":
        parts = open_parts(path, value_range=whole)
        plan = plan_shards([model], parts, shard_images=_SHARD, batch_size=_BATCH)
        start_plan(plan, cache, counts_in(parts))
    else:
        (plan,) = find_plans(cache.path)
        counts = PlanFolder(cache.path, plan, cache.entries.storage).counts()
        parts = open_parts(path, value_range=whole, known=[] if counts is None else [counts])
        number = len(plan) // 2
        if path.endswith(".index"):
            plan.shard(parts, number)
        else:
            encode_shard(plan, number, [model], parts, cache)
    seconds = time.process_time() - start
    where = PlanFolder(cache.path, plan, cache.entries.storage).path
    size = sum(file.stat().st_size for file in where.glob("*.json"))
    return {"seconds": seconds, "peak": peak() - before, "shards": len(plan), "size": size}


def encode_few(model: Any) -> None:
    from latentmap.cache import encode
    from latentmap.images import open_images

    encode(model, open_images("digits", limit=_BATCH))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
