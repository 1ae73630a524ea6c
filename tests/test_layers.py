"""Imports point inwards and downwards: latentmap knows no model and no command, encoders know no
command, and inside latentmap a wing knows only the wings below it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "latentmap": ("latentmap.encoders", "latentmap.cli"),
    "encoders": ("latentmap.cli",),
    "cli": (),
}
GROUND = (
    "arrays",
    "chances",
    "errors",
    "frames",
    "intervals",
    "limits",
    "printing",
    "progress",
    "ssim",
    "transfers",
    "versions",
)
# From the ground up; the wings of one floor do not know each other.
FLOORS = (
    ("files", "engines"),
    ("report",),
    ("codes",),
    ("images",),
    ("mapping",),
    ("model",),
    ("cache",),
    ("inversion", "diagnostics"),
    ("relocation",),
    ("support", "comparison"),
    ("expressiveness",),
    ("explorer",),
)
WINGS = [wing for floor in FLOORS for wing in floor]
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


def upward(wing: str, source: str) -> set[str]:
    """What a module of ``wing`` imports of the core that does not lie below it."""
    below = {*GROUND}
    for floor in FLOORS:
        if wing in floor:
            break
        below |= {*floor}
    known = {name.split(".")[1] for name in imports(source) if name.startswith("latentmap.")}
    return (known & {*GROUND, *WINGS}) - {wing} - below


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_only_from_below(wing):
    for path in (ROOT / "latentmap" / wing).rglob("*.py"):
        assert not upward(wing, path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("name", GROUND)
def test_the_ground_knows_no_wing(name):
    source = (ROOT / "latentmap" / f"{name}.py").read_text(encoding="utf-8")
    assert not {part for part in imports(source) for wing in WINGS if f"latentmap.{wing}" in part}


def test_every_wing_and_every_module_on_the_ground_has_its_place():
    core = ROOT / "latentmap"
    assert sorted(path.parent.name for path in core.glob("*/__init__.py")) == sorted(WINGS)
    assert sorted(path.stem for path in core.glob("*.py")) == sorted([*GROUND, "__init__"])


@pytest.mark.parametrize(
    ("wing", "source"),
    [
        ("codes", "from latentmap.images import ImageSource"),
        ("mapping", "def f():\n    from latentmap.model import Model"),
        ("support", "from latentmap.comparison import compare_models"),
        ("files", "import latentmap.report.store"),
    ],
)
def test_the_check_finds_an_upward_import(wing, source):
    assert upward(wing, source)
