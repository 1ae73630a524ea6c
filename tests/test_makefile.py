"""make sets itself up, says in a line why it cannot, and removes nothing but what it made."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"
SOURCES = ("latentmap", "encoders", "cli", "tests", "benchmarks", "docs")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def checkout(tmp_path):
    for name in SOURCES:
        (tmp_path / name / "__pycache__").mkdir(parents=True)
    for name in ("setup.cfg", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    return tmp_path


def make(checkout, *words):
    # make test says its own words to every make that it starts.
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-f", str(MAKEFILE), *words]
    return subprocess.run(command, cwd=checkout, env=own, capture_output=True, text=True)


def interpreter(path, *, refuses=None):
    """Stands for Python: does nothing, ends well, and refuses some words; venv makes another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "#!/bin/sh\n"
        f'case "$*" in {refuses or "nothing"}) echo "a reason" >&2; exit 1;; esac\n'
        'case "$*" in "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python";; esac\n'
    )
    path.chmod(0o755)
    return f"PYTHON={path}"


def test_an_environment_is_made_once(checkout):
    python = interpreter(checkout / "python")
    assert make(checkout, "test", python).returncode == 0
    assert (checkout / ".venv" / ".latentmap-installed").exists()
    again = make(checkout, "test", interpreter(checkout / "python", refuses="*"))
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("refuses", "said"),
    [
        ("*version_info*", "latentmap needs Python 3.10 or later: make PYTHON=python3.12 ..."),
        (
            '"-m venv"*',
            "No environment, for the reason above: Python needs its module venv "
            "(Debian and Ubuntu: apt install python3-venv), and disk.",
        ),
        (
            '"-m pip install"*',
            "Not installed, for the reason above: pip needs a network, and up to 6 GB of disk.",
        ),
    ],
    ids=["too old", "no venv", "no network"],
)
def test_what_stops_it_is_said_in_a_line(checkout, refuses, said):
    done = make(checkout, "test", interpreter(checkout / "python", refuses=refuses))
    assert done.returncode == 2
    reason, line, last = done.stderr.splitlines()
    assert (reason, line) == ("a reason", said)
    assert last.startswith("make: ***")
    assert not (checkout / ".venv" / ".latentmap-installed").exists()


def test_what_a_failed_try_left_does_not_stand_in_the_way(checkout):
    python = interpreter(checkout / "python", refuses='"-m venv"*')
    assert make(checkout, "test", python).returncode == 2
    assert make(checkout, "test", interpreter(checkout / "python")).returncode == 0


def test_a_folder_that_make_did_not_make_is_no_environment(checkout):
    mine = checkout / "mine" / "file"
    mine.parent.mkdir()
    mine.touch()
    done = make(checkout, "test", interpreter(checkout / "python"), "VENV=mine")
    assert done.returncode == 2
    assert "mine is no environment with pip: move it away, or choose another" in done.stderr
    assert mine.exists()


def test_an_environment_whose_interpreter_has_gone_is_made_anew(checkout):
    python = interpreter(checkout / "python")
    make(checkout, "test", python)
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / "setup.cfg").touch()
    os.utime(checkout / ".venv" / ".latentmap-installed", (0, 0))
    assert make(checkout, "test", python).returncode == 0
    assert (checkout / ".venv" / "bin" / "python").exists()


def test_clean_removes_what_make_made(checkout):
    before = {path for path in checkout.rglob("*") if path.name != "__pycache__"}
    make(checkout, "test", interpreter(checkout / "python"))
    for name in ("build/docs", "dist", "latentmap.egg-info", ".ruff_cache"):
        (checkout / name).mkdir(parents=True)
    assert make(checkout, "clean").returncode == 0
    assert set(checkout.rglob("*")) == before | {checkout / "python"}


def test_clean_leaves_an_environment_that_somebody_else_made(checkout):
    interpreter(checkout / ".venv" / "bin" / "python")
    make(checkout, "test", interpreter(checkout / "python"))
    assert (checkout / ".venv" / ".latentmap-installed").exists()
    assert make(checkout, "clean").returncode == 0
    assert (checkout / ".venv" / "bin" / "python").exists()
