"""The harness finds what it is for, and its targets work."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.cases import Special, read_case, write_case
from tests.fuzz.planted import FAULTS

ROOT = Path(__file__).parents[2]


def run(program, *arguments):
    """What a program that fuzzes prints, in a process of its own: it forks."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from tests.fuzz import run; {program}", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/bin:/usr/bin", "OMP_NUM_THREADS": "1"},
    )
    assert not done.stderr, done.stderr
    return done


# The faults, and one of those cases that were kept again.
PLANTED = """
from pathlib import Path
from tests.fuzz.planted import PLANTED
found = run.main(sys.argv[2:], PLANTED)
print("again", flush=True)
(case,) = Path(sys.argv[1]).glob("raise__*")
again = run.main(["--replay", str(case)], PLANTED)
sys.exit(found + again)
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("planted") / "kept")
    options = ["--runs", "1", "--patience", "2", "--seed", "0", "--keep", folder]
    done = run(PLANTED, folder, *options)
    assert done.returncode == 2, done.stdout
    return Path(folder), *done.stdout.split("again\n")


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, (_, kind) in FAULTS.items()])
def test_a_fault_of_each_kind_is_found_and_kept(planted, name, kind):
    folder, found, _ = planted
    assert re.search(rf"^{name} +1 cases", found, re.MULTILINE)
    assert f"\n{kind}: {name}: " in found
    kept = [path.name.split("__")[:2] for path in folder.iterdir()]
    assert [name, kind] in kept


def test_a_case_that_was_kept_fails_again(planted):
    assert "traceback: raise: KeyError" in planted[2]


def test_every_target_reads_its_cases():
    # As many as a target has readers: a few seconds.
    done = run("sys.exit(run.main())", "--seed", "0", "--runs", "5")
    assert done.returncode == 0, done.stdout
    assert "0 kinds of failure" in done.stdout


def test_whatever_lies_in_a_case_is_kept_as_it_is(tmp_path):
    case = {"a/b": b"x", **{special.name: special for special in Special}}
    write_case(case, tmp_path / "case")
    del case[Special.MISSING.name]
    assert read_case(tmp_path / "case") == case
    write_case({"c": b""}, tmp_path / "case")
    assert read_case(tmp_path / "case") == {"c": b""}
