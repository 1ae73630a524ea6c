"""How often commands open each file of a folder of pictures: none more than once, but for a look.

    python benchmarks/reading.py [--images 1000] [--data FOLDER] [--quick]

``fit`` twice, ``evaluate`` and ``compare`` with a third model, and ``fit`` of one image more, as
whole commands on one cache, each in a process of its own. Every opening of a picture is counted by
an audit hook of Python; "twice" are files that were opened more than once in the command. Before it
knows anything, a command looks at the first picture, to tell black ones. Seconds are of the
processor. Without --data pictures are made, with the modification time of an hour ago: contents of
files that have just been written are not trusted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

_COMMAND = """
import collections, json, os, sys, time
folder, opened = sys.argv[1], collections.Counter()
def count(event, given):
    if event == "open" and isinstance(given[0], (str, bytes)):
        path = os.fsdecode(given[0])
        if path.startswith(folder) and os.path.splitext(path)[1].lower() in (".jpg", ".png"):
            opened[path] += 1
sys.addaudithook(count)
from latentmap.cli.main import main
main(sys.argv[2:], standalone_mode=False)
twice = sum(times > 1 for times in opened.values())
print(json.dumps([sum(opened.values()), twice, time.process_time()]), file=sys.stderr)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--data", help="a folder of JPEG and PNG files of faces, as published")
    parser.add_argument("--quick", action="store_true", help="300 images")
    arguments = parser.parse_args()
    n = 300 if arguments.quick else arguments.images
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(arguments.data) if arguments.data else Path(name) / "pictures"
        if not arguments.data:
            make_pictures(pictures, n + 1)
        given = ["--data", str(pictures), "--cache", f"{name}/cache"]
        few = [*given, "--limit", str(n)]
        fit = [
            "fit",
            "--src",
            "vae",
            "--dst",
            "svae",
            "--out",
            f"{name}/map.safetensors",
            "--force",
        ]
        print(f"{'':<26}{'opened':>8}{'twice':>8}{'CPU s':>8}")
        show("fit, first", pictures, [*fit, *few])
        show("fit, again", pictures, [*fit, *few])
        show("evaluate", pictures, ["evaluate", f"{name}/map.safetensors", *few, "--split", "test"])
        show("compare, a third model", pictures, ["compare", "vae", "svae", "vae-b", *few])
        show("fit, one image more", pictures, [*fit, *given, "--limit", str(n + 1)])


def make_pictures(folder: Path, n: int) -> None:
    """Pictures as smooth as photographs are, and of the size of published faces."""
    chance = np.random.default_rng(0)
    folder.mkdir()
    before = time.time() - 3600
    for number in range(n):
        small = Image.fromarray(chance.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        path = folder / f"{number:06}.jpg"
        small.resize((178, 218)).save(path)
        os.utime(path, (before, before))
    # The time of the last change of a file's state cannot be set; it has to pass.
    time.sleep(3)


def show(what: str, pictures: Path, command: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _COMMAND, str(pictures), *command],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    opened, twice, seconds = json.loads(run.stderr.splitlines()[-1])
    print(f"{what:<26}{opened:>8}{twice:>8}{seconds:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
