"""How long commands take that compute nothing, beside Python, click, NumPy and torch alone.

    python benchmarks/starting.py [--quick]

Each is a process of its own, run several times; printed are the processor's seconds of the quickest
run, how many times those of `import numpy` that is, and whether that is below 4 (0.4 s where NumPy
takes 0.1), or less than 2 are added to torch. A cache and a map are made first, in a temporary
folder.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from latentmap.cache import Coder
from latentmap.codes import pair
from latentmap.encoders import build
from latentmap.images import open_images
from latentmap.mapping import fit

GOAL = 4
BESIDE_TORCH = 2
FLOORS = ("pass", "import click", "import numpy", "import torch")
IMPORTS = ("from latentmap.mapping import fit", "from latentmap import fit_models, open_images")
COMMANDS = (
    "--version",
    "--help",
    "fit --help",
    "models list",
    "models show svae",
    "cache list --cache codes",
    "map show map.safetensors",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run each twice, not seven times")
    tries = 2 if parser.parse_args().quick else 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        floors = {code: seconds(["-c", code], folder, tries) for code in FLOORS}
        unit, torch = floors["import numpy"], floors["import torch"]
        for code, took in floors.items():
            print(f"{code:50} {took:6.2f} s {took / unit:6.1f}")
        for code in IMPORTS:
            took = seconds(["-c", code], folder, tries)
            met = "met" if took - torch < BESIDE_TORCH * unit else "missed"
            print(f"{code:50} {took:6.2f} s {took / unit:6.1f}  beside torch's {torch:.2f}: {met}")
        for words in COMMANDS:
            took = seconds(["-m", "latentmap.cli", *words.split()], folder, tries)
            met = "met" if took < GOAL * unit else "missed"
            print(f"latentmap {words:40} {took:6.2f} s {took / unit:6.1f}  {met}")


def make(folder: Path) -> None:
    """A cache and a map of a small model."""
    config = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 16, "widths": [32]}
    model = build("vae", config)
    (codes,) = Coder.of(folder / "codes").codes([model], open_images("digits"))
    fit(pair(codes, codes)).save(folder / "map.safetensors")


def seconds(words: list[str], folder: Path, tries: int) -> float:
    """The processor's seconds of the quickest of some runs of Python."""
    taken = []
    for _ in range(tries):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


if __name__ == "__main__":
    main()
