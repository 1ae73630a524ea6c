"""The pictures of docs/: each is made by a command of the gallery, and none is left over."""

import re
import runpy
from itertools import pairwise
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
SCRIPT = runpy.run_path(str(DOCS / "make_gallery.py"))
PICTURES = SCRIPT["pictures"]()
COMMANDS = list(SCRIPT["commands"]())


def test_every_picture_that_a_page_shows_is_there_and_no_other():
    there = [path for path in sorted((DOCS / "gallery").rglob("*")) if path.is_file()]
    assert [path.relative_to(DOCS / "gallery").as_posix() for path in there] == PICTURES
    assert sum(path.stat().st_size for path in there) < 1_500_000


@pytest.mark.parametrize("path", PICTURES)
def test_every_picture_is_made_by_a_command_of_the_gallery(path):
    folder, _, name = path.rpartition("/")
    written = [path] if not folder else [folder]
    options = {"--figures"} if folder else {"--figure", "--plane"}
    makers = [
        words
        for words in COMMANDS
        if any(before in options and word in written for before, word in pairwise(words))
    ]
    assert len(makers) == 1
    assert not folder or f"--format {name.rpartition('.')[2]}" in " ".join(makers[0])


def test_every_picture_says_what_it_shows():
    for page in DOCS.glob("*.md"):
        for words in re.findall(r"!\[([^\]]*)\]\(gallery/", page.read_text(encoding="utf-8")):
            assert len(words) > 20, page


def test_no_picture_of_the_gallery_is_of_photographs():
    """What may not be passed on stays out: images are made by bundled models, or are digits."""
    data = {word for words in COMMANDS for before, word in pairwise(words) if before == "--data"}
    assert data == {"digits"}


def test_the_picture_of_the_explorer_is_of_images_that_a_model_makes():
    """It is made again by a script of its own, since a browser draws it."""
    command = runpy.run_path(str(DOCS / "make_explorer_picture.py"))["COMMAND"]
    assert "--samples" in command and "--data" not in command
    assert (DOCS / "explorer.png").stat().st_size < 300_000
    for page in (DOCS.parent / "README.md", DOCS / "explorer.md"):
        assert "explorer.png)" in page.read_text(encoding="utf-8")
