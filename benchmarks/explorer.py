"""How long a step of a slider of the explorer takes, and what an hour of moving does to its memory.

    python benchmarks/explorer.py [--models vae,svae] [--steps 200] [--minutes 60] [--page]

Of each source with its targets: seconds from the command until its page answers, the first time
(images are made and encoded, maps are fitted) and the second; the median and the 95th of a hundred
of the milliseconds of a step, from the question to the last byte of its pictures, as the page asks
over HTTP; and the memory of the server in MB before and after ``--minutes`` of moving. ``--page``
measures steps in Debian's chromium, until the last picture is loaded; it needs Playwright.

TAEF2 is measured where ``--taef2`` is the folder of taef2_encoder.pth and taef2_decoder.pth, on
images of 256x256.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

MODELS = ("vae,svae", "svae,stylegan", "stylegan,svae", "svae,vae,gan,stylegan")
TAEF2 = "taef2.safetensors"
LATENTMAP = [sys.executable, "-m", "latentmap.cli"]
WORDS = ["--cache", "cache", "--no-browser", "--json"]
WARMING = 10  # Steps that are not counted.
STEP = """async (value) => {
  const slider = document.querySelector(".slider input[type=range]");
  const image = [...document.querySelectorAll("figure img")].at(-1);
  const start = performance.now();
  const loaded = new Promise((resolve) => image.addEventListener("load", resolve, { once: true }));
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
  await loaded;
  return performance.now() - start;
}"""


class Client:
    """Asks as the page does, over one connection."""

    def __init__(self, address: str) -> None:
        where = urlsplit(address)
        assert where.hostname is not None
        self._path = where.path
        self._connection = http.client.HTTPConnection(where.hostname, where.port)
        self._number = 0
        length, letter = self.ask("describe", {})
        controls = json.loads(letter[4 : 4 + length])["controls"][0]["controls"]
        self._first = next(one["number"] for one in controls if not one["dead"])

    def ask(self, action: str, asked: dict[str, Any]) -> tuple[int, bytes]:
        """The length of the head of an answer, and all of it."""
        self._number += 1
        question = {"client": "benchmark", "number": self._number, "asked": asked}
        self._connection.request("POST", f"{self._path}api/{action}", json.dumps(question))
        reply = self._connection.getresponse()
        letter = reply.read()
        assert reply.status == 200, letter[:200]
        length = int.from_bytes(letter[:4], "little")
        assert "refused" not in json.loads(letter[4 : 4 + length]), letter[:200]
        return length, letter

    def step(self, value: float) -> float:
        """The milliseconds of a step to a value."""
        start = time.perf_counter()
        state = f"moves=variables_{self._first}_{value:.4f}"
        self.ask("move", {"state": state, "by": "variables"})
        return 1000 * (time.perf_counter() - start)


@contextlib.contextmanager
def explorer(models: list[str], samples: int, folder: str) -> Iterator[tuple[str, int, float]]:
    """The address, the process and the seconds until its page answers, of a command that runs."""
    start = time.perf_counter()
    words = [*LATENTMAP, "explore", *models, "--samples", str(samples), *WORDS]
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            # As JSON it is printed over several lines.
            lines: list[str] = []
            while not lines or not lines[-1].startswith("}"):
                lines.append(process.stdout.readline())
                assert lines[-1], "it ended at once: run the command itself, which says why"
            address = json.loads("".join(lines))["address"]
            Client(address)
            yield address, process.pid, time.perf_counter() - start
        finally:
            process.terminate()


def resident(process: int) -> float:
    """The memory of a process in MB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


@contextlib.contextmanager
def drawn(address: str) -> Iterator[Callable[[float], float]]:
    """The milliseconds of a step until its last picture is on the page, in Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("figure img")
        yield lambda value: float(page.evaluate(STEP, value))
        browser.close()


def value_of(number: int) -> float:
    """A value of a slider, each time another one of those that it can stand at."""
    return (37 * number % 81 - 40) / 20


def measure(models: list[str], samples: int, folder: str, given: argparse.Namespace) -> list[float]:
    """The figures of one row."""
    with explorer(models, samples, folder) as (_, _, first):
        pass
    with contextlib.ExitStack() as stack:
        address, process, again = stack.enter_context(explorer(models, samples, folder))
        step = stack.enter_context(drawn(address)) if given.page else Client(address).step
        took = [step(value_of(i)) for i in range(WARMING + given.steps)][WARMING:]
        before, end, moved = resident(process), time.monotonic() + 60 * given.minutes, 0
        while time.monotonic() < end:
            moved += 1
            step(value_of(given.steps + moved))
        after = resident(process)
    return [first, again, *np.quantile(took, (0.5, 0.95)).tolist(), before, after, moved]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", action="append", help="a source and its targets, with commas")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=0.2)
    parser.add_argument("--taef2", type=Path, help="the folder of its two files")
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    columns = ("first, s", "again, s", "p50, ms", "p95, ms", "MB before", "MB after", "moves")
    print(f"{'models':28}" + "".join(f"{column:>11}" for column in columns), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = [(row, given.samples) for row in given.models or MODELS]
        if given.taef2 is None:
            print("TAEF2 is left out: --taef2 FOLDER of its files")
        else:
            halves = [
                str((given.taef2 / f"taef2_{half}.pth").resolve())
                for half in ("encoder", "decoder")
            ]
            words = ["import", halves[0], "--decoder", halves[1], "--size", "256x256"]
            subprocess.run(
                [*LATENTMAP, *words, "--out", TAEF2], cwd=folder, check=True, capture_output=True
            )
            rows.append((f"{TAEF2},svae", min(given.samples, 200)))
        for row, samples in rows:
            found = measure(row.split(","), samples, folder, given)
            shown = "".join(f"{value:11.1f}" for value in found[:-1])
            print(f"{row:28}{shown}{found[-1]:11,.0f}", flush=True)


if __name__ == "__main__":
    main()
