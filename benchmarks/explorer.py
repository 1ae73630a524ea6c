"""How long a step of a slider of the explorer takes until all pictures are on the page.

    python benchmarks/explorer.py [--models vae,svae --models stylegan,svae] [--steps 200]

Of each source with its targets: seconds until the page can be opened, of models that are loaded and
images that are made; then milliseconds from the step to the last picture, the median and the 95th
of a hundred; and by how many MB the server grows in ``--minutes`` of moving without a stop. It
needs Debian's chromium, and Playwright.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from latentmap.cache import Coder
from latentmap.comparison.making import images_for_all, maker_among
from latentmap.encoders import load_all
from latentmap.explorer import Explored, Serving, Session, explore_spaces

MODELS = ("vae,svae", "svae,stylegan", "stylegan,svae", "svae,vae,gan,stylegan")
IMAGES = 2000
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


def explored_of(references: str) -> tuple[Explored, float]:
    """What is explored, and the seconds that it took."""
    models = load_all(references.split(","))
    coder = Coder.of(None)
    folder = coder.keep_generated()
    images, models = images_for_all(models, maker_among(models), IMAGES, folder=folder)
    start = time.perf_counter()
    return explore_spaces(models[0], models[1:], images, coder), time.perf_counter() - start


def resident() -> float:
    """The memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def steps(page: Any, n: int) -> np.ndarray:
    """The milliseconds of ``n`` steps, each after the one before."""
    return np.array([page.evaluate(STEP, 2 * np.sin(i / 9)) for i in range(n)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", action="append")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=0)
    given = parser.parse_args()
    print(f"{'models':28}{'start, s':>10}{'p50, ms':>10}{'p95, ms':>10}{'growth, MB':>12}")
    for references in given.models or MODELS:
        explored, seconds = explored_of(references)
        with Serving(Session(explored)) as serving, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
            page = browser.new_page()
            page.goto(serving.address)
            page.wait_for_selector("figure img")
            steps(page, 10)
            found = steps(page, given.steps)
            before, end = resident(), time.monotonic() + 60 * given.minutes
            while time.monotonic() < end:
                steps(page, 100)
            growth = f"{resident() - before:12.1f}" if given.minutes else ""
            middle, high = np.quantile(found, (0.5, 0.95))
            print(f"{references:28}{seconds:10.1f}{middle:10.1f}{high:10.1f}{growth}", flush=True)
            browser.close()


if __name__ == "__main__":
    main()
