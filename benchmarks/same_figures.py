"""Whether a change of the code changed a number: the results of most commands, kept and compared.

    python benchmarks/same_figures.py run BEFORE [--shared ../shared/data]
    ... change the code, or check out another commit ...
    python benchmarks/same_figures.py run AFTER
    python benchmarks/same_figures.py compare BEFORE AFTER

`run` calls the commands of the table below, on the bundled models and one core, and keeps of each
the JSON that it prints, and digests of all arrays in the files that it writes: codes, maps, models,
support sets. `compare` lists every value that is not the same to the last digit, and exits with 1
if there is one. Commands whose data is not in the folder --shared are left out, and named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import load_file

# What each result is called, and its command, in this order: some take what others wrote. They run
# in one empty folder, where data/ is the folder --shared and cache/ holds the codes.
COMMANDS = {
    "sample": "sample gan -n 400 --out faces.h5 {cpu} {seed} --json",
    "sample-digits": "sample mnist-gan -n 400 --out digits.h5 {cpu} {seed} --json",
    "sample-w": "sample stylegan -n 32 --truncation 0.7 --codes-out w.npz {cpu} {seed} --json",
    "images-pack": "images pack --data digits --size 16 --out pack.h5 --json",
    "frames": "frames estimate --src mnist-stylegan --dst mnist-vae --samples 64 --no-write "
    "{cpu} {seed} --json",
    "encode": "encode svae vae --data faces.h5 --cache cache {cpu} --json",
    "cache-ls": "cache list --cache cache --json",
    "fit": "fit --src svae --dst stylegan --samples 600 --out there.safetensors {all}",
    "fit-back": "fit --src stylegan --dst svae --samples 600 --out back.safetensors {all}",
    "fit-procrustes": "fit --src svae --dst stylegan --samples 600 --method procrustes "
    "--out procrustes.safetensors {all}",
    "fit-curve": "map curve --src svae --dst stylegan --samples 600 --pairs 64,256,all --draws 2 "
    "{all}",
    "fit-data": "fit --src svae --dst vae --data faces.h5 --out data.safetensors {all}",
    "fit-all": "map methods --src mnist-vae --dst mnist-svae --data digits.h5 --limit 200 {all}",
    "evaluate": "evaluate data.safetensors --data faces.h5 --split test {all}",
    "evaluate-samples": "evaluate there.safetensors --samples 40 {all_but_seed} --seed 1",
    "apply": "apply data.safetensors --data faces.h5 --codes-out mapped.npz {cpu} --cache cache",
    "apply-codes": "apply back.safetensors --codes w.npz --codes-out carried.npz {cpu}",
    "map-show": "map show there.safetensors --json",
    "map-compose": "map compose there.safetensors back.safetensors --out cycle.safetensors",
    "map-compose-show": "map show cycle.safetensors --json",
    "map-invert": "map inverse there.safetensors --out inverse.safetensors",
    "map-invert-show": "map show inverse.safetensors --json",
    "map-factors": "map factors data.safetensors --data faces.h5 --permutations 19 {all}",
    "compare": "compare vae svae gan stylegan --samples 300 --sample-from stylegan --methods "
    "procrustes,cca --images 20 --similarity-images 20 --permutations 19 {all}",
    "support-order": "support order mnist-svae --data digits.h5 --variables 3 --limit 60 {all}",
    "support-build": "support build mnist-svae --data digits.h5 -k 3 --members 16 --limit 200 "
    "--with-images --out support.h5 {all}",
    "support-build-given": "support build svae --data faces.h5 --leading 3,17,40 --strict "
    "--threshold auto --members 24 --out given.h5 {all}",
    "support-show": "support show support.h5 --data digits.h5 {seed} --json",
    "support-compare": "support compare --src mnist-vae --dst mnist-svae --data digits.h5 "
    "--members 24,48 --draws 2 -k 3 --images 16 {all}",
    "fit-support": "fit --src svae --dst vae --data faces.h5 --support given.h5 "
    "--out by-support.safetensors {all}",
    "bench": "bench mnist-gan mnist-stylegan --set own:6 --set support.h5 "
    "--set digits.h5:24 --steps 20 --starts 1 --encoder mnist-svae {all}",
    "bench-map": "bench stylegan --set own:6 --set faces.h5:6 --methods hybrid --steps 10 "
    "--starts 1 --map there.safetensors --src svae {all}",
    "invert-network": "invert gan --data faces.h5 --limit 16 --method network "
    "--codes-out network.npz {cpu} {seed} --json",
    "invert-search": "invert stylegan --data faces.h5 --limit 4 --steps 10 --starts 2 --space w+ "
    "--perceptual 0.1 --prior 0.01 --codes-out search.npz {cpu} {seed} --json",
    "diagnose": "diagnose svae --data faces.h5 --limit 200 {cpu} --json",
    "train-vae": "train vae --data digits.h5 --limit 64 --steps 4 --batch-size 16 --widths 8,16 "
    "--latent-dim 8 --out new-vae.safetensors {cpu} {seed} --json",
    "train-split-vae": "train split-vae --data digits.h5 --limit 64 --steps 4 --batch-size 16 "
    "--width 8 --latent-dim 8 --embedding 16 --out new-svae.safetensors {cpu} {seed} --json",
    "train-gan": "train gan --data digits.h5 --limit 64 --steps 4 --batch-size 16 --latent-dim 8 "
    "--base 16 --widths 8,8 --discriminator-widths 8,16 --out new-gan.safetensors "
    "{cpu} {seed} --json",
    "train-stylegan2": "train stylegan2 --data digits.h5 --limit 64 --steps 4 --batch-size 8 "
    "--latent-dim 8 --width 4 --max-width 16 --out new-stylegan.safetensors {cpu} {seed} --json",
    "train-inversion": "train inversion --generator new-gan.safetensors --steps 4 --batch-size 8 "
    "--width 8 --held-out 32 --out new-inverted.safetensors {cpu} {seed} --json",
    "mnist-fit": "fit --src mnist-vae --dst mnist-svae --data {mnist} --limit 400 "
    "--out mnist.safetensors {all}",
    "mnist-evaluate": "evaluate mnist.safetensors --data {mnist} --split val --limit 200 {all}",
    "mnist-compare": "compare mnist-vae mnist-svae mnist-vae-b --data {mnist} --limit 200 "
    "--images 40 --similarity-images 100 --permutations 19 {all}",
    "celeba-fit": "fit --src vae --dst svae --data {celeba} --limit 150 --group-by "
    "{celeba_groups} --out celeba.safetensors {all}",
    "celeba-evaluate": "evaluate celeba.safetensors --data {celeba} --split test --group-by "
    "{celeba_groups} --limit 60 {all}",
}
WORDS = {
    "cpu": "--device cpu",
    "seed": "--seed 0",
    "all_but_seed": "--device cpu --cache cache --json",
    "all": "--device cpu --seed 0 --cache cache --json",
    "mnist": "data/mnist/t10k-images-idx3-ubyte.gz",
    "celeba": "data/celeba64.zip",
    "celeba_groups": "data/celeba64_identity.csv",
}
# The files without which commands whose names begin so are left out.
NEEDED = {
    "mnist-": ("mnist",),
    "celeba-": ("celeba", "celeba_groups"),
}
# What may differ, wherever a key of this name stands.
IGNORED = {
    "command": "the words of a command line, whose options may be renamed",
    "versions": "of latentmap and the packages below it",
    "seconds": "measured",
}
# Arrays that hold a JSON text with the command line and the versions; most of it is printed too.
RECORDS = {"record", "provenance"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    runner = actions.add_parser("run", help="call the commands and keep their results")
    runner.add_argument("out", type=Path, help="a new folder")
    runner.add_argument("--shared", type=Path, default=Path("../shared/data"))
    comparer = actions.add_parser("compare", help="list what differs in two folders")
    comparer.add_argument("before", type=Path)
    comparer.add_argument("after", type=Path)
    arguments = parser.parse_args()
    if arguments.action == "run":
        sys.exit(run(arguments.out, arguments.shared))
    sys.exit(compare(arguments.before, arguments.after))


def run(out: Path, shared: Path) -> int:
    """Calls all commands and keeps their results; 1 if a command failed."""
    out.mkdir(parents=True)
    missing = {
        prefix
        for prefix, names in NEEDED.items()
        if not all((shared / WORDS[name].removeprefix("data/")).exists() for name in names)
    }
    begin = processor_seconds()
    skipped, failed = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").symlink_to(shared.absolute())
        say(f"the code is in {code_folder(folder)}")
        for number, (title, text) in enumerate(COMMANDS.items(), 1):
            if title.startswith(tuple(missing)):
                skipped.append(title)
                continue
            words = shlex.split(text.format(**WORDS))
            say(f"{number:2}/{len(COMMANDS)} {title}: latentmap {shlex.join(words)}")
            if not run_one(title, words, folder, out):
                failed.append(title)
    say(f"{len(COMMANDS) - len(skipped) - len(failed)} results in {out}", begin)
    if skipped:
        say(f"left out, as their data is not in {shared}: {', '.join(skipped)}")
    if failed:
        say(f"failed: {', '.join(failed)}")
    return bool(failed)


def run_one(title: str, words: list[str], folder: Path, out: Path) -> bool:
    """Calls a command in the folder and keeps what it printed and wrote; False if it failed."""
    old = array_files(folder)
    begin = processor_seconds()
    done = python(["-m", "latentmap.cli", *words], folder)
    if done.returncode:
        say(done.stderr.strip() or f"exit code {done.returncode}")
        return False
    say("      done", begin)
    if "--json" in words:
        keep(out / f"{title}.json", json.loads(done.stdout))
    written = {
        path.name: digests(folder / path.name)
        for path, state in array_files(folder).items()
        if old.get(path) != state
    }
    if written:
        keep(out / f"{title}.written.json", written)
    return True


def python(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Calls this interpreter in a folder, on one core, so that sums are taken in one order."""
    environment = {key: value for key, value in os.environ.items() if "LATENTMAP" not in key}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def code_folder(folder: Path) -> str:
    """Where the code lies that the commands run: that of the environment, not of this file."""
    found = python(["-c", "import latentmap; print(latentmap.__path__[0])"], folder)
    if found.returncode:
        sys.exit(found.stderr)
    return found.stdout.strip()


def array_files(folder: Path) -> dict[Path, tuple[int, int]]:
    """The files with arrays in the folder, with what tells whether one was written again."""
    found = (path for path in sorted(folder.iterdir()) if path.suffix in READERS)
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def digests(path: Path) -> dict[str, str]:
    """A line for each array of a file: type, shape and digest."""
    lines = {}
    for name, array in sorted(READERS[path.suffix](path).items()):
        if name in RECORDS:
            continue
        # Texts of any length, in HDF5, are objects.
        data = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        lines[name] = f"{array.dtype} {array.shape} {hashlib.sha256(data).hexdigest()}"
    return lines


def read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()])

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".npz": read_npz,
    ".h5": read_hdf5,
    ".safetensors": load_file,
}


def compare(before: Path, after: Path) -> int:
    """Lists what differs; 1 if anything does."""
    names = sorted({path.name for folder in (before, after) for path in folder.glob("*.json")})
    if not names:
        sys.exit(f"there are no results in {before} and {after}: make them with `run`")
    values = different = 0
    for name in names:
        title = name.removesuffix(".json")
        there = [(folder / name).exists() for folder in (before, after)]
        if not all(there):
            print(f"{title}: only in {before if there[0] else after}")
            different += 1
            continue
        old, new = (
            dict(leaves(title, json.loads((folder / name).read_text())))
            for folder in (before, after)
        )
        for path in dict.fromkeys([*old, *new]):
            one, other = (found.get(path, "nothing") for found in (old, new))
            values += 1
            if one != other:
                print(f"{path}: {one} became {other}")
                different += 1
    print(f"{len(names)} results with {values} values: {different} differences")
    return int(different > 0)


def leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every value in a result, as its JSON text, under its path; without what may differ."""
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    if not value or not isinstance(value, dict | list):
        yield path, json.dumps(value)
    for key, part in parts:
        if key not in IGNORED:
            yield from leaves(f"{path}/{key}", part)


def keep(path: Path, result: Any) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n")


def processor_seconds() -> float:
    """What the commands took so far; other programs on the machine do not matter."""
    times = os.times()
    return times.children_user + times.children_system


def say(line: str, begin: float | None = None) -> None:
    taken = "" if begin is None else f" ({processor_seconds() - begin:.1f} s of a processor)"
    print(line + taken, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
