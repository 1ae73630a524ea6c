"""Peak memory and processor time of maps between two files of codes: 100,000 against 1,000,000.

    python benchmarks/code_files.py [--rows 100000 1000000] [--numbers 512] [--kind npz]

The codes are float32, related by a random map with noise, and have ids of 13 letters. Every run is
a process of its own, which opens both files, pairs them by id, splits them, fits a map by ridge on
the split train, and scores it on the split test, with intervals; ``compare`` does both ways, and
similarity indexes. It reports its peak memory beside that of Python with torch, what ids and
digests take of it, which grow with the rows, and its processor time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

KINDS = ("npz", "packed", "npy", "h5", "parquet")
_BLOCK = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=(100_000, 1_000_000))
    parser.add_argument("--numbers", type=int, default=512)
    parser.add_argument("--kind", choices=KINDS, default="npz")
    parser.add_argument("--steps", nargs="+", default=("fit", "compare"))
    parser.add_argument("--child", nargs=2, metavar=("STEP", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        step, folder = arguments.child
        if step == "write":
            write_both(Path(folder), arguments.rows[0], arguments.numbers, arguments.kind)
        else:
            measure(step, Path(folder))
        return
    print(f"{'rows':>8}  {'step':8}  {'before MB':>9}  {'peak MB':>8}  {'ids MB':>7}  CPU seconds")
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            run_child("write", folder, rows, arguments)
            for step in arguments.steps:
                found = json.loads(run_child(step, folder, rows, arguments))
                numbers = "  ".join(
                    f"{found[name] / 1e6:>{width}.0f}"
                    for name, width in (("before", 9), ("peak", 8), ("ids", 7))
                )
                print(f"{rows:>8}  {step:8}  {numbers}  {found['seconds']:.0f}", flush=True)


def run_child(step: str, folder: str, rows: int, arguments: argparse.Namespace) -> str:
    command = [sys.executable, __file__, "--rows", str(rows), "--kind", arguments.kind]
    command += ["--numbers", str(arguments.numbers), "--child", step, folder]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def write_both(folder: Path, rows: int, numbers: int, kind: str) -> None:
    """Both files, in blocks: the second is the first times a random matrix, and noise."""
    weight = np.random.default_rng(1).standard_normal((numbers, numbers)) / numbers**0.5
    for name, mapped in (("a", None), ("b", weight.astype(np.float32))):
        blocks = (
            block if mapped is None else block @ mapped + 0.5 * noise
            for block, noise in blocks_of(rows, numbers)
        )
        write_one(folder / f"{name}.{suffix_of(kind)}", blocks, rows, numbers, kind)


def suffix_of(kind: str) -> str:
    return "npz" if kind == "packed" else kind


def blocks_of(rows: int, numbers: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    chance = np.random.default_rng(0)
    for start in range(0, rows, _BLOCK):
        shape = (min(_BLOCK, rows - start), numbers)
        yield chance.standard_normal(shape, np.float32), chance.standard_normal(shape, np.float32)


def write_one(path: Path, blocks: Iterator[np.ndarray], rows: int, numbers: int, kind: str) -> None:
    ids = np.array([f"{number:09}.jpg" for number in range(rows)])
    if kind == "h5":
        import h5py

        with h5py.File(path, "w") as file:
            codes = file.create_dataset("codes", (rows, numbers), "<f4")
            for start, block in zip(range(0, rows, _BLOCK), blocks, strict=True):
                codes[start : start + len(block)] = block
            file["ids"] = ids.astype("S")
        return
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("ids", pa.string()), ("codes", pa.list_(pa.float32(), numbers))])
        with pq.ParquetWriter(path, schema) as writer:
            for start, block in zip(range(0, rows, _BLOCK), blocks, strict=True):
                codes = pa.FixedSizeListArray.from_arrays(block.reshape(-1), numbers)
                names = pa.array(ids[start : start + len(block)].tolist())
                writer.write_table(pa.table([names, codes], schema))
        return
    head = {"descr": "<f4", "fortran_order": False, "shape": (rows, numbers)}
    if kind == "npy":
        with path.open("wb") as out:
            np.lib.format.write_array_header_1_0(out, head)
            for block in blocks:
                out.write(block.tobytes())
        return
    method = zipfile.ZIP_DEFLATED if kind == "packed" else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        with archive.open("ids.npy", "w", force_zip64=True) as out:
            np.lib.format.write_array(out, ids)
        with archive.open("codes.npy", "w", force_zip64=True) as out:
            np.lib.format.write_array_header_1_0(out, head)
            for block in blocks:
                out.write(block.tobytes())


def measure(step: str, folder: Path) -> None:
    import torch

    from latentmap.cache import Coder
    from latentmap.codes.code_file import by_position
    from latentmap.comparison import CompareOptions, compare_models
    from latentmap.encoders.code_files import load_code_file
    from latentmap.images.id_images import images_of_codes
    from latentmap.relocation import fit_training, score_models, training_pairs

    torch.zeros(1)
    before, start = peak(), time.process_time()
    models = [load_code_file(str(path), {}) for path in sorted(folder.glob("[ab].*"))]
    if models[0].stored.ids is None:
        named = by_position([model.stored for model in models])
        models = [model.with_file(file) for model, file in zip(models, named, strict=True)]
    images, _ = images_of_codes([model.stored for model in models])
    with tempfile.TemporaryDirectory() as cache:
        coder = Coder.of(cache)
        if step == "fit":
            training = training_pairs(models[0], models[1], images, coder)
            linear_map = fit_training(training)
            score_models([linear_map], models[0], models[1], images.split("test"), coder)
        else:
            compare_models(models, images, coder, options=CompareOptions())
    found = {
        "before": before,
        "peak": peak(),
        "ids": 2 * images.ids.nbytes + images.digests.nbytes,
        "seconds": time.process_time() - start,
    }
    print(json.dumps(found))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
