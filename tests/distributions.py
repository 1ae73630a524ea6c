"""What others get: the sdist and the wheel in dist/, and the wheel in an environment of its own.

Not a part of `make test`, since it installs everything once more: `make package` builds the two and
runs this.
"""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import latentmap

ROOT = Path(__file__).resolve().parents[1]
NAME = f"latentmap-{latentmap.__version__}"
FOLDERS = {"latentmap": "latentmap", "encoders": "latentmap/encoders", "cli": "latentmap/cli"}
PYTHON = """
import latentmap
from latentmap import fit_models, generated_images
from latentmap.encoders import load

source, target = load("mnist-vae"), load("mnist-gan")
images = generated_images(target, 200, folder="codes/generated")
print(latentmap.__file__, fit_models(source, target, images, "codes").weight.shape)
"""


def sdist() -> dict[str, bytes]:
    with tarfile.open(ROOT / "dist" / f"{NAME}.tar.gz") as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {name.removeprefix(f"{NAME}/"): file.read() for name, file in files.items() if file}


def wheel() -> dict[str, bytes]:
    with zipfile.ZipFile(ROOT / "dist" / f"{NAME}-py3-none-any.whl") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_sdist_is_the_repository():
    # With those that are not committed yet.
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs a git checkout")
    repository = {name: (ROOT / name).read_bytes() for name in done.stdout.split("\0") if name}
    # setuptools writes metadata of its own, and lays setup.cfg out anew.
    files = {
        name: contents
        for name, contents in sdist().items()
        if name != "PKG-INFO" and not name.startswith("latentmap.egg-info/")
    }
    assert files.keys() == repository.keys()
    assert {name for name in files if files[name] != repository[name]} <= {"setup.cfg"}


def test_the_wheel_is_the_three_folders():
    expected = {
        "/".join([FOLDERS[top], *rest]): contents
        for name, contents in sdist().items()
        for top, *rest in [name.split("/")]
        if top in FOLDERS and rest[-1] != "README.md"
    }
    files = {
        name: contents
        for name, contents in wheel().items()
        if not name.startswith(f"{NAME}.dist-info/")
    }
    assert files.keys() == expected.keys()
    assert files == expected
    assert {"latentmap/py.typed", "latentmap/__init__.pyi"} < files.keys()
    assert f"{NAME}.dist-info/licenses/LICENSE" in wheel()


class Installed(NamedTuple):
    environment: Path
    folder: Path

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A program of the environment, run in a folder elsewhere."""
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(self.environment / "bin" / program), *words]
        return subprocess.run(command, cwd=self.folder, env=own, capture_output=True, text=True)

    def output(self, program: str, *words: str) -> str:
        done = self.run(program, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    top = tmp_path_factory.mktemp("installed")
    there = Installed(top / "environment", top / "elsewhere")
    there.folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", there.environment], check=True)
    # The versions that are here: they lie in pip's cache, and torch is of the same build.
    freeze = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    pins = top / "constraints.txt"
    pins.write_text(subprocess.run(freeze, check=True, stdout=subprocess.PIPE, text=True).stdout)
    built = ROOT / "dist" / f"{NAME}-py3-none-any.whl"
    # What is not imported here need not be compiled.
    options = ["--quiet", "--no-compile", "--constraint", str(pins)]
    there.output("python", "-m", "pip", "install", *options, str(built))
    return there


def test_the_commands_work(installed):
    assert installed.output("latentmap", "--version") == f"latentmap {latentmap.__version__}\n"
    assert "mnist-stylegan" in installed.output("latentmap", "models", "list")
    pair = ("--src", "mnist-vae", "--dst", "mnist-stylegan")
    said = installed.output(
        "latentmap", "fit", *pair, "--samples", "250", "--figure", "figure.png", "--report", "page"
    )
    assert "efficiency" in said
    assert (installed.folder / "figure.png").is_file()
    assert (installed.folder / "page" / "index.html").is_file()


def test_python_finds_the_wheel_and_all_that_it_needs(installed):
    assert "No broken requirements" in installed.output("python", "-m", "pip", "check")
    path, shape = installed.output("python", "-c", PYTHON).split(maxsplit=1)
    assert installed.environment in Path(path).parents
    assert shape.strip() == "torch.Size([16, 64])"


def test_jpegs_are_read_without_the_decoder_that_is_quicker(installed):
    images = installed.folder / "images"
    images.mkdir()
    for value in range(3):
        Image.fromarray(np.full((8, 8, 3), value * 100, np.uint8)).save(images / f"{value}.jpg")
    words = ("latentmap", "images", "show", "--data", "images")
    said = installed.output(*words)
    assert "3 images" in said
    # As where there is no wheel of it.
    installed.output("python", "-m", "pip", "uninstall", "--yes", "--quiet", "simplejpeg")
    assert installed.output(*words) == said


@pytest.mark.parametrize(
    "words",
    [
        ("map", "curve", "--src", "mnist-vae", "--dst", "mnist-gan", "--figure", "curve.png"),
        ("bench", "mnist-gan", "--set", "own:16", "--figures", "figures"),
    ],
    ids=["map curve", "bench"],
)
def test_a_figure_without_matplotlib_is_refused_in_one_line(installed, words):
    done = installed.run("latentmap", *words)
    assert done.returncode == 1
    assert done.stderr == (
        'Error: this figure needs matplotlib: pip install "latentmap[figures]"\n'
    )


# The last, since nothing is left of it.
def test_it_uninstalls_without_a_trace(installed):
    installed.output("python", "-m", "pip", "uninstall", "--yes", "--quiet", "latentmap")
    assert not list(installed.environment.rglob("*latentmap*"))
