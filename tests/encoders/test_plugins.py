"""Families and schemes of other packages, by the example package and broken ones."""

import configparser
import importlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.encoders import build, load
from latentmap.encoders.plugins import GROUP
from latentmap.errors import ModelError
from latentmap.model.testing import check_model

EXAMPLE = Path(__file__).resolve().parents[1] / "example_package"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package with entry points where Python finds it, as pip does."""
    monkeypatch.syspath_prepend(tmp_path)

    def installed(name, version, points, modules):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
        for file, text in modules.items():
            (tmp_path / file).write_text(text)
        importlib.invalidate_caches()

    return installed


@pytest.fixture
def example(install):
    """The example package, installed as its setup.cfg says."""
    config = configparser.ConfigParser()
    config.read(EXAMPLE / "setup.cfg")
    points = config["options.entry_points"][GROUP]
    module = (EXAMPLE / "latentmap_example.py").read_text()
    name, version = config["metadata"]["name"], config["metadata"]["version"]
    install(name, version, points, {"latentmap_example.py": module})


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def test_a_scheme_of_another_package_is_a_model(example):
    model = load("example:5?seed=1")
    assert model.latent_dim == 5
    check_model(model)
    assert not model.space.same_as(load("example:5").space)
    with pytest.raises(ModelError, match="write the number of variables"):
        load("example:many")
    with pytest.raises(ModelError, match="there is no option 'depth' here"):
        load("example:5?depth=2")


def test_a_family_of_another_package_is_written_read_and_listed(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    importlib.import_module("latentmap_example").make("mine.safetensors", latent_dim=3)
    model = load("mine.safetensors")
    assert (model.family, model.latent_dim) == ("example-linear", 3)
    check_model(model)
    listed = run("models", "list").stdout
    assert "example-linear" in listed
    assert "mine.safetensors: example-linear" in run("models", "show", "mine.safetensors").stdout
    words = ["--src", "mine.safetensors", "--dst", "example:2", "--data", "digits", "--limit", "60"]
    run("fit", *words, "--cache", "cache", "--device", "cpu", "--out", "map.safetensors")


def test_what_other_packages_bring_is_listed(example, install, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    install("gone", "2.0", "gone = no_such_module_at_all:load", {})
    listed = run("models", "list").stdout
    assert "latentmap-example 1.0" in listed
    assert "its module is missing" in listed
    found = json.loads(run("models", "list", "--json").stdout)
    assert {"name": "example", "package": "latentmap-example 1.0", "found": True} in found
    assert {"name": "gone", "package": "gone 2.0", "found": False} in found


def test_without_the_package_its_files_and_its_schemes_are_refused(tmp_path):
    with pytest.raises(ModelError, match="there is no scheme 'example': known are diffusers:, "):
        load("example:5")
    with pytest.raises(ModelError, match="unknown model family 'example-linear'"):
        build("example-linear", {})


@pytest.mark.parametrize(
    ("points", "text", "message"),
    [
        ("broken = broken_of_test_a:load", "1 / 0", "broken of the package broken 1.0 cannot be "),
        ("broken = broken_of_test_b:no", "", "cannot be loaded .AttributeError"),
        ("broken = broken_of_test_c:load", "load = 5", "broken of the package broken 1.0 is no "),
        (
            "broken = broken_of_test_d:load",
            "from latentmap.model.testing import LinearModel as load",
            "is no scheme: models of a family are files",
        ),
        (
            "broken = broken_of_test_e:load",
            "def load(given): return 5",
            "gave int for broken:x, which is no model",
        ),
    ],
)
def test_a_broken_package_is_said_in_one_line(install, points, text, message):
    module = points.split()[2].partition(":")[0]
    install("broken", "1.0", points, {f"{module}.py": text})
    with pytest.raises(ModelError, match=message) as caught:
        load("broken:x")
    assert "\n" not in str(caught.value)
    assert load("svae").name == "svae"


def test_a_scheme_is_no_family(example):
    with pytest.raises(ModelError, match=r"latentmap-example 1\.0 is no family of models"):
        build("example", {})


def test_a_name_that_two_packages_bring_is_refused(install):
    for name in ("one", "two"):
        install(name, "1.0", "both = module:load", {})
    with pytest.raises(ModelError, match=r"both comes with (one|two) 1\.0 and (one|two) 1\.0"):
        load("both:x")
