"""Makes the picture of the explorer again that README.md shows: its page, in Debian's chromium.

    python docs/make_explorer_picture.py [FOLDER]

The images are made by the bundled StyleGAN. Codes are kept in FOLDER, by default a new one. The
page needs ``pip install -e ".[dev]"``.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PICTURE = Path(__file__).resolve().parent / "explorer.png"
COMMAND = "latentmap explore svae stylegan --samples 2000 --sample-from stylegan".split()
STATE = "start=image&image=seed0-000008"
WIDTH, HEIGHT = 1280, 920


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    words = [*COMMAND[1:], "--cache", folder, "--no-browser", "--at", STATE]
    with subprocess.Popen(
        [sys.executable, "-m", "latentmap.cli", *words], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            picture = drawn(process.stdout.readline().strip())
        finally:
            process.terminate()
    with Image.open(io.BytesIO(picture)) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")


def drawn(address: str) -> bytes:
    """The page as a PNG, as soon as its pictures are there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(address)
        page.locator("figure img").nth(3).wait_for()
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        picture = page.screenshot()
        browser.close()
    return picture


if __name__ == "__main__":
    main()
