"""Makes the figures of the gallery again: runs the commands of gallery.md, one after the other.

    python docs/make_gallery.py [FOLDER]

The commands run in FOLDER, by default a new one, where their models and caches stay.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent
GALLERY = "gallery"
PICTURE = re.compile(rf"!\[[^\]]+\]\({GALLERY}/([^)]+)\)")


def commands() -> Iterator[list[str]]:
    """The commands of the page, as words."""
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", page, flags=re.S):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line)


def pictures() -> list[str]:
    """The pictures that pages show, by their paths in the folder of the gallery."""
    pages = (page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md")))
    return sorted({path for page in pages for path in PICTURE.findall(page)})


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "LATENTMAP_CACHE": str(folder.resolve() / "cache")}
    for words in commands():
        print(shlex.join(words), flush=True)
        command = [sys.executable, "-m", "latentmap.cli", *words[1:], "--force"]
        subprocess.run(command, cwd=folder, env=environment, check=True)
    shutil.rmtree(DOCS / GALLERY, ignore_errors=True)
    for path in pictures():
        target = DOCS / GALLERY / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, target)


if __name__ == "__main__":
    main()
