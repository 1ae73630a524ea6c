"""Help answers at once: what is slow to import is imported by the commands that need it."""

import json
import resource
import subprocess
import sys

import pytest

from latentmap.cache import Coder, Entries
from latentmap.codes import pair
from latentmap.encoders import build
from latentmap.images import open_images
from latentmap.mapping import fit

HEAVY = {"torch", "numpy", "h5py", "scipy", "sklearn", "PIL", "tqdm"}
HELP_SECONDS = 0.4

HELP = """
import sys
sys.argv = ["latentmap", "--help"]
from latentmap.cli.main import main
main(standalone_mode=False)
"""
HELP_OF_FIT = HELP.replace('"--help"', '"fit", "--help"')
EVERY_COMMAND = """
import importlib
from latentmap.cli.main import COMMANDS
for entry in COMMANDS.values():
    importlib.import_module(entry.module)
"""


def heavy_imports(code: str) -> set[str]:
    """Which heavy libraries a fresh Python has loaded after running ``code``."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    ["import latentmap", "import latentmap.cli.main", HELP, HELP_OF_FIT, EVERY_COMMAND],
    ids=["package", "group", "help", "help of fit", "every command"],
)
def test_importing_loads_nothing_heavy(code):
    assert heavy_imports(code) == set()


@pytest.mark.parametrize("code", ["import numpy", "from latentmap import Codes"])
def test_the_check_sees_a_heavy_import(code):
    assert "numpy" in heavy_imports(code)


COMMAND = """
import sys
sys.argv = ["latentmap", *{words!r}]
from latentmap.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
# What lists and describes reads headers: of these numpy alone.
LIGHT = {
    "version": ["--version"],
    "models": ["models", "list"],
    "a model": ["models", "show", "svae", "--json"],
    "a cache": ["cache", "list", "--cache", "codes"],
    "a map": ["map", "show", "map.safetensors"],
    "an entry": ["cache", "show", "ENTRY", "--cache", "codes"],
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a map and a cache, and the id of its one entry."""
    folder = tmp_path_factory.mktemp("kept")
    shape = {"architecture": "dense", "image_shape": [1, 8, 8], "widths": [16]}
    model = build("vae", {**shape, "latent_dim": 3})
    (codes,) = Coder.of(folder / "codes").codes([model], open_images("digits", limit=20))
    fit(pair(codes, codes)).save(folder / "map.safetensors")
    (entry,) = Entries(folder / "codes").all()
    return folder, entry.id


@pytest.mark.parametrize("words", LIGHT.values(), ids=LIGHT)
def test_what_lists_or_describes_computes_with_nothing_heavy(words, kept, monkeypatch):
    folder, entry = kept
    monkeypatch.chdir(folder)
    given = [entry if word == "ENTRY" else word for word in words]
    assert heavy_imports(COMMAND.format(words=given)) <= {"numpy"}


MISTAKE = """
import sys
sys.argv = ["latentmap", "fit", "--src", "no", "--dst", "no", "--data", "no", *{words!r}]
from latentmap.cli.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 1, end.code
"""


def test_a_condition_is_refused_without_anything_heavy(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("file,Young\n1.png,1\n")
    words = ["--attributes", str(table), "--where", "Yuong == 1"]
    assert heavy_imports(MISTAKE.format(words=words)) <= {"numpy"}


@pytest.mark.parametrize(
    "code", ["from latentmap.mapping import fit", "from latentmap import fit_models, open_images"]
)
def test_fitting_waits_for_no_library_of_estimators(code):
    assert not heavy_imports(code) & {"sklearn", "scipy", "h5py"}


def cpu_seconds_of_help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "latentmap.cli", "--help"], capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "Commands:" in done.stdout
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_answers_within_its_budget():
    # Importing waits for nothing, so the processor's time is what it takes on a machine that is not
    # busy; the best of a few tries leaves out what other processes still cost.
    assert min(cpu_seconds_of_help() for _ in range(5)) < HELP_SECONDS
