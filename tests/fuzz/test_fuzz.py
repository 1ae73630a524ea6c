"""The harness finds what it is for, and its targets work."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.cases import Special, read_case, write_case
from tests.fuzz.planted import FAULTS

ROOT = Path(__file__).parents[2]


def fuzz(folder, *options, planted=False):
    """What the program prints, in a process of its own: it forks."""
    targets = "tests.fuzz.planted.PLANTED" if planted else "tests.fuzz.targets.TARGETS"
    module = targets.rpartition(".")[0]
    program = (
        f"import sys, {module}; from tests.fuzz.run import main; sys.exit(main(targets={targets}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--seed", "0", "--keep", str(folder), *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/bin:/usr/bin", "OMP_NUM_THREADS": "1"},
    )
    assert not done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted") / "kept"
    return folder, fuzz(folder, "--runs", "1", "--patience", "1", planted=True)


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, (_, kind) in FAULTS.items()])
def test_a_fault_of_each_kind_is_found_and_kept(planted, name, kind):
    folder, done = planted
    assert done.returncode == 1
    assert re.search(rf"^{name} +1 cases", done.stdout, re.MULTILINE)
    assert f"\n{kind}: {name}: " in done.stdout
    kept = [path.name.split("__")[:2] for path in folder.iterdir()]
    assert [name, kind] in kept


def test_a_case_that_was_kept_fails_again(planted):
    folder, _ = planted
    (case,) = folder.glob("raise__*")
    done = fuzz(folder, "--replay", str(case), planted=True)
    assert done.returncode == 1
    assert "traceback: raise: KeyError" in done.stdout


def test_every_target_reads_its_cases(tmp_path):
    done = fuzz(tmp_path / "kept", "--runs", "24")
    assert done.returncode == 0, done.stdout
    assert "0 kinds of failure" in done.stdout


def test_whatever_lies_in_a_case_is_kept_as_it_is(tmp_path):
    case = {"a/b": b"x", **{special.name: special for special in Special}}
    write_case(case, tmp_path / "case")
    del case[Special.MISSING.name]
    assert read_case(tmp_path / "case") == case
    write_case({"c": b""}, tmp_path / "case")
    assert read_case(tmp_path / "case") == {"c": b""}
