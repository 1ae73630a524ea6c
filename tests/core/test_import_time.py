"""Help answers at once: what is slow to import is imported by the commands that need it."""

import json
import resource
import subprocess
import sys

import pytest

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
