"""Imports point inwards: latentmap knows no model and no command, encoders know no command."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "latentmap": ("latentmap.encoders", "latentmap.cli"),
    "encoders": ("latentmap.cli",),
    "cli": (),
}
MODULES = [(folder, path) for folder in FORBIDDEN for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(source: str) -> set[str]:
    """Every module that is imported, at any depth; what ``from`` takes may be a module too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def outward(folder: str, source: str) -> set[str]:
    return {
        name
        for name in imports(source)
        for layer in FORBIDDEN[folder]
        if name == layer or name.startswith(f"{layer}.")
    }


@pytest.mark.parametrize(
    ("folder", "path"), MODULES, ids=[str(path.relative_to(ROOT)) for _, path in MODULES]
)
def test_a_module_imports_nothing_from_an_outer_layer(folder, path):
    assert not outward(folder, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("latentmap", "import latentmap.encoders.vae"),
        ("latentmap", "from latentmap import encoders"),
        ("latentmap", "def f():\n    from latentmap.cli.main import main"),
        ("encoders", "from latentmap.cli.options import data_options"),
    ],
)
def test_the_check_finds_an_outward_import(folder, source):
    assert outward(folder, source)


def test_the_command_line_may_use_both():
    assert not outward("cli", "from latentmap.encoders import load")
