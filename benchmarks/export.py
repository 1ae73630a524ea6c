"""Seconds and peak memory of `latentmap cache export`, by format, beside bare calls that write the
same codes.

    python benchmarks/export.py [--rows 1000000] [--numbers 64 512]

A cache is filled with random float32 codes of ids of 13 letters. Every run is a process of its own,
which exports that entry, or writes the same codes by `numpy.save`, `numpy.savez`, h5py or pyarrow,
from memory, where all of them have to be for these. Peaks are beside what the process takes with
its imports and nothing done; "ids" is what ids and digests take of an export's. The bare calls
neither compare the codes with their digests, nor check them, nor wait for the disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FORMATS = ("npy", "npz", "h5", "parquet")
_BLOCK = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--numbers", type=int, nargs="+", default=(64,))
    parser.add_argument("--formats", choices=FORMATS, nargs="+", default=FORMATS)
    parser.add_argument("--folder", help="Where files are written; by default that of TMPDIR.")
    parser.add_argument(
        "--child", nargs=3, metavar=("WAY", "FORMAT", "FOLDER"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.child:
        way, kind, folder = arguments.child
        run(way, kind, Path(folder), arguments.rows, arguments.numbers[0])
        return
    print("   rows  numbers  format   way     seconds  CPU s  peak MB  ids MB   file MB")
    for numbers in arguments.numbers:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            child("fill", "", folder, arguments.rows, numbers)
            for kind in arguments.formats:
                for way in ("export", "bare"):
                    found = json.loads(child(way, kind, folder, arguments.rows, numbers))
                    print(
                        f"{arguments.rows:>7}  {numbers:>7}  {kind:7}  {way:6}  "
                        f"{found['seconds']:>7.1f}  {found['cpu']:>5.1f}  "
                        f"{found['peak'] / 1e6:>7.0f}  {found['ids'] / 1e6:>6.0f}  "
                        f"{found['size'] / 1e6:>8.0f}",
                        flush=True,
                    )


def child(way: str, kind: str, folder: str, rows: int, numbers: int) -> str:
    command = [sys.executable, __file__, "--rows", str(rows), "--numbers", str(numbers)]
    command += ["--child", way, kind, folder]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run(way: str, kind: str, folder: Path, rows: int, numbers: int) -> None:
    if way == "fill":
        fill(folder / "cache", rows, numbers)
        return
    path = folder / f"codes.{kind}"
    found = export(folder / "cache", path) if way == "export" else bare(kind, path, rows, numbers)
    size = sum(one.stat().st_size for one in folder.glob("codes*"))
    for one in folder.glob("codes*"):
        one.unlink()
    print(json.dumps({**found, "size": size}))


def fill(cache: Path, rows: int, numbers: int) -> None:
    from latentmap.cache import EntryKey, LatentCache
    from latentmap.codes import Space
    from latentmap.frames import Frame

    space = Space("z", numbers, "a", "a" * 64)
    key = EntryKey(space.fingerprint, "z", "d" * 64, {}, {})
    digests = np.random.default_rng(1).integers(0, 256, (rows, 16), np.uint8)
    writer = LatentCache(cache).writer(
        key, space=space, frame=Frame(), ids=names(rows), digests=digests
    )
    chance = np.random.default_rng(0)
    with writer as open_writer:
        for start in range(0, rows, _BLOCK):
            stop = min(start + _BLOCK, rows)
            block = chance.standard_normal((stop - start, numbers), np.float32)
            open_writer.append(np.arange(start, stop), block, stop=stop)


def names(rows: int) -> np.ndarray:
    return np.array([f"{number:09}.jpg" for number in range(rows)])


def export(cache: Path, path: Path) -> dict[str, float]:
    """As the command does it."""
    from latentmap.cache import Entries

    if path.suffix == ".parquet":
        import pyarrow.parquet  # noqa: F401
    if path.suffix == ".h5":
        import h5py  # noqa: F401
    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    codes = Entries(cache).export(path)
    return {**spent(before, start, cpu), "ids": codes.ids.nbytes + codes.digests.nbytes}


def bare(kind: str, path: Path, rows: int, numbers: int) -> dict[str, float]:
    """As one does it who has all codes in memory."""
    import h5py
    import pyarrow as pa
    import pyarrow.parquet as pq

    before = peak()
    ids = names(rows)
    codes = np.random.default_rng(0).standard_normal((rows, numbers), np.float32)
    start, cpu = time.perf_counter(), time.process_time()
    if kind == "npy":
        np.save(path, codes)
    elif kind == "npz":
        np.savez(path, codes=codes, ids=ids)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["codes"], file["ids"] = codes, ids.astype("S")
    else:
        lists = pa.FixedSizeListArray.from_arrays(codes.reshape(-1), numbers)
        table = pa.table({"id": pa.array(ids.tolist()), "codes": lists})
        pq.write_table(table, path, compression="none", use_dictionary=False)
    return {**spent(before, start, cpu), "ids": 0}


def spent(before: int, start: float, cpu: float) -> dict[str, float]:
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    return {"peak": peak() - before, "seconds": seconds, "cpu": used}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
