"""How long a step of a slider of the explorer takes, and what an hour of moving does to its memory.

    python benchmarks/explorer.py [--models vae,svae] [--steps 200] [--minutes 60] [--page]
    python benchmarks/explorer.py --points 200000

Of each source with its targets: seconds from the command until its page answers, the first time
(images are made and encoded, maps are fitted) and the second; the median and the 95th of a hundred
of the milliseconds of a step, from the question to the last byte of its pictures, as the page asks
over HTTP; and the memory of the server in MB before and after ``--minutes`` of moving. ``--page``
measures steps in Debian's chromium, until the last picture is loaded; it needs Playwright.

``--points 200000`` measures the view "Points" in chromium instead, of so many random images of 8x8:
seconds until its page answers, until all points are drawn and coloured by an attribute, and the
milliseconds between two frames while the pointer goes over the points, drags and zooms them, and
while they are coloured by the errors of their relocations; and the memory of the page's script.

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
POINTS_OF = [f"pca:{d}?size=8x8&channels=1" for d in (16, 12)]
WATCHED = 10.0  # Seconds of each movement.
RECORD = """() => {
  const intervals = [];
  window.intervals = intervals;
  let last = performance.now();
  const tick = (now) => {
    if (window.intervals !== intervals) return;
    intervals.push(now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""
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
def explorer(models: list[str], of: list[str], folder: str) -> Iterator[tuple[str, int, float]]:
    """The address, the process and the seconds until its page answers, of a command that runs;
    ``of`` are the options that say of which images.
    """
    start = time.perf_counter()
    words = [*LATENTMAP, "explore", *models, *of, *WORDS]
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
def chromium() -> Iterator[Any]:
    """A page without an address in Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield browser.new_page(viewport={"width": 1600, "height": 1000})
        browser.close()


@contextlib.contextmanager
def drawn(address: str) -> Iterator[Callable[[float], float]]:
    """The milliseconds of a step until its last picture is on the page, in Chromium."""
    with chromium() as page:
        page.goto(address)
        page.wait_for_selector("figure img")
        yield lambda value: float(page.evaluate(STEP, value))


def watch_points(n: int, folder: str) -> None:
    """Prints what is measured of ``n`` points."""
    rng = np.random.default_rng(0)
    pixels = 128 + rng.normal(size=(n, 16)) @ rng.normal(size=(16, 64)) * np.linspace(12, 2, 64)
    shown = np.clip(pixels, 0, 255).round().astype(np.uint8)
    np.save(Path(folder, "images.npy"), shown.reshape(n, 8, 8, 1))
    ages = "".join(f"{i},{age:.4f}\n" for i, age in enumerate(rng.normal(size=n)))
    Path(folder, "ages.csv").write_text(f"id,age\n{ages}", "utf-8")
    of = ["--data", "images.npy", "--attributes", "ages.csv"]
    with explorer(POINTS_OF, of, folder) as (_, _, first):
        pass
    with explorer(POINTS_OF, of, folder) as (address, process, again), chromium() as page:
        page.goto(f"{address}#view=points&colour=attribute+age")
        page.locator(".key b").wait_for()
        page.get_by_text(f"{n:,} points", exact=True).wait_for()
        seconds = page.evaluate("performance.now()") / 1000
        print(f"first {first:.1f} s, again {again:.1f} s, drawn after {seconds:.1f} s more")
        print(f"{'':18}{'p50, ms':>9}{'p95, ms':>9}{'most, ms':>9}{'frames':>8}{'page, MB':>10}")
        watch(page, "")
        page.goto(f"{address}#view=points&colour=image-error+0")
        page.locator(".key b").wait_for()
        watch(page, "filling, ")
        print(f"server {resident(process):.0f} MB")


def watch(page: Any, when: str) -> None:
    """Prints how regular frames are while a page of points is used."""
    box = page.locator(".plot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def go(i: int) -> None:
        page.mouse.move(x + 300 * np.sin(i / 7), y + 200 * np.cos(i / 5))

    def turn(i: int) -> None:
        page.mouse.wheel(0, -60 if i // 25 % 2 == 0 else 60)

    for name, act in (("hover", go), ("drag", go), ("zoom", turn)):
        page.mouse.move(x, y)
        if name == "drag":
            page.mouse.down()
        page.evaluate(RECORD)
        end, i = time.monotonic() + WATCHED, 0
        while time.monotonic() < end:
            act(i)
            i += 1
        found = np.array(page.evaluate("window.intervals"))[1:]
        page.mouse.up()
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        p50, p95 = np.quantile(found, (0.5, 0.95))
        figures = f"{p50:9.1f}{p95:9.1f}{found.max():9.1f}{len(found):8}{heap:10.1f}"
        print(f"{when + name:18}{figures}", flush=True)


def value_of(number: int) -> float:
    """A value of a slider, each time another one of those that it can stand at."""
    return (37 * number % 81 - 40) / 20


def measure(models: list[str], samples: int, folder: str, given: argparse.Namespace) -> list[float]:
    """The figures of one row."""
    of = ["--samples", str(samples)]
    with explorer(models, of, folder) as (_, _, first):
        pass
    with contextlib.ExitStack() as stack:
        address, process, again = stack.enter_context(explorer(models, of, folder))
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
    parser.add_argument("--points", type=int, help="so many points, instead of steps")
    given = parser.parse_args()
    if given.points is not None:
        with tempfile.TemporaryDirectory() as folder:
            watch_points(given.points, folder)
        return
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
