"""What is installed is what stands in the checkout."""

import configparser
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import latentmap
import latentmap.mapping

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"latentmap": "latentmap", "encoders": "latentmap.encoders", "cli": "latentmap.cli"}


def listed() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["options"]["packages"].split()


def on_disk() -> list[str]:
    return sorted(
        ".".join([package, *init.parent.relative_to(ROOT / folder).parts])
        for folder, package in FOLDERS.items()
        for init in (ROOT / folder).rglob("__init__.py")
    )


def test_setup_cfg_lists_every_package_on_disk():
    assert sorted(listed()) == on_disk()


def test_every_folder_with_modules_is_a_package():
    for folder in FOLDERS:
        for module in (ROOT / folder).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), f"{module.parent} has no __init__.py"


def test_the_templates_of_the_report_are_installed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["latentmap.report"].split(", ")
    report = ROOT / "latentmap" / "report"
    others = {path for path in report.rglob("*.*") if path.suffix not in (".py", ".pyc")}
    assert others
    assert {path for pattern in patterns for path in report.glob(pattern)} == others


@pytest.mark.parametrize("package", listed())
def test_every_package_is_imported_from_this_checkout(package):
    assert ROOT in Path(import_module(package).__file__ or "").resolve().parents


@pytest.mark.parametrize("folder", ["encoders", "cli"])
def test_a_folder_refuses_to_be_imported_under_a_short_name(folder):
    done = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"this folder is the package latentmap.{folder}" in done.stderr


def test_the_public_names_are_sorted_and_all_there():
    for package in (latentmap, latentmap.mapping):
        assert package.__all__ == sorted(package.__all__)
        for name in package.__all__:
            assert getattr(package, name) is not None


def test_the_stub_lists_the_names_that_it_imports():
    for package in (latentmap, latentmap.mapping):
        stub = Path(package.__file__ or "").with_suffix(".pyi").read_text()
        namespace: dict[str, list[str]] = {}
        exec(stub[stub.index("__all__") :].split("__version__")[0], namespace)
        assert sorted(namespace["__all__"]) == package.__all__


def test_the_stubs_of_packages_are_installed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for stub in (ROOT / "latentmap").rglob("__init__.pyi"):
        package = ".".join(stub.parent.relative_to(ROOT).parts)
        assert "*.pyi" in config["options.package_data"][package].split(", ")


def test_every_python_that_is_named_runs_the_tests():
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.cfg").read_text())
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert f"python: {json.dumps(named)}\n" in workflow


def test_simplejpeg_is_asked_for_by_the_pythons_that_are_named():
    text = (ROOT / "setup.cfg").read_text()
    *_, last = re.findall(r"Python :: 3\.(\d+)", text)
    # Of a later one there may be no wheel, and then nothing of latentmap could be installed.
    assert f'simplejpeg >= 1.7.4; python_version < "3.{int(last) + 1}" and ' in text


def test_the_version_is_in_the_changelog_and_the_citation():
    assert f"## [{latentmap.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {latentmap.__version__}\n" in (ROOT / "CITATION.cff").read_text()
