"""The examples in docstrings run. By full name: pytest --doctest-modules would import encoders/ and
cli/ a second time, under their short names.
"""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"latentmap": "latentmap", "encoders": "latentmap.encoders", "cli": "latentmap.cli"}
MODULES = [
    ".".join([package, *path.relative_to(ROOT / folder).with_suffix("").parts])
    for folder, package in FOLDERS.items()
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    results = doctest.testmod(import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
