"""Images whose names are no UTF-8, or would steer a terminal: every command works on them."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.main import main

NAMES = [b"a\xff", "b\u202e".encode(), b"c\x1b[2J", b"d\nx", "é日".encode()]


@pytest.fixture(scope="module", params=["folder", "zip", "pack"])
def here(request, tmp_path_factory):
    """The images, by their name in the folder that the test is in."""
    place = tmp_path_factory.mktemp("odd")
    before = Path.cwd()
    os.chdir(place)
    folder = Path(os.fsdecode(b"images\xff"))
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        name = os.fsdecode(NAMES[number % 5] + b"%d.png" % number)
        Image.fromarray(pixels).resize((64, 64)).save(folder / name)
    if request.param == "zip":
        with zipfile.ZipFile("data.zip", "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.writestr(os.fsencode(path.name).decode("cp437"), path.read_bytes())
        folder = Path("data.zip")
    if request.param == "pack":
        run("images", "pack", "--data", str(folder), "--out", "pack.h5")
        folder = Path("pack.h5")
    yield str(folder)
    os.chdir(before)


def run(*words):
    """What a command prints, which is text that steers nothing."""
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == 0, ascii(result.output)
    assert not set("\x1b\u202e") & set(result.output)
    result.output.encode()
    if "--json" in words:
        return json.loads(result.stdout)
    return result.stdout


def test_they_are_shown_encoded_and_exported(here):
    assert "images, such as" in run("images", "show", "--data", here)
    assert run("images", "show", "--data", here, "--json")["count"] == 40
    run("encode", "vae", "--data", here, "--cache", "codes", "--json")
    for path in ("codes.npz", "codes.h5"):
        run("cache", "export", "--cache", "codes", "--out", path)
    run(
        *("fit", "--src", "vae", "--dst", "svae", "--data", here, "--cache", "codes"),
        *("--out", "map.safetensors", "--figure", "map.png", "--report", "report"),
    )
    for path in ("codes.npz", "codes.h5"):
        run("apply", "map.safetensors", "--codes", path, "--codes-out", f"mapped-{path}")
    run("apply", "map.safetensors", "--data", here, "--figure", "rows.png", "--cache", "codes")
    json.loads(Path("report/report.json").read_bytes().decode())


def test_they_are_inverted(here):
    words = ("--data", here, "--limit", "3", "--method", "network", "--report", "inverted")
    run("invert", "vae", *words, "--figure", "inverted.png", "--codes-out", "inverted.h5")
    page = Path("inverted/index.html").read_bytes().decode()
    assert not set("\x1b\u202e") & set(page)
