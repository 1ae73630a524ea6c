"""Short names for models of a project, in latentmap.toml."""

from pathlib import Path

import pytest

from latentmap.encoders import load
from latentmap.encoders.project import project_models
from latentmap.errors import ModelError
from tests.cli.conftest import save_vae

TEXT = """
[models]
tiny = "models/vae.safetensors"
bundled = "vae"
thumbnail = "pixels:2?size=8x8&channels=1"
mine = "python:mine_of_project:load"
"""
MINE = """
def load(scale="1"):
    return {"encode": lambda x: float(scale) * x.flatten(1), "image_shape": (1, 2, 2)}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with short names, in a folder of which the test is."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "latentmap.toml").write_text(TEXT)
    (tmp_path / "mine_of_project.py").write_text(MINE)
    (tmp_path / "models").mkdir()
    save_vae(tmp_path / "models" / "vae.safetensors", seed=1, latent_dim=3)
    (tmp_path / "work" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "deep")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_short_name_stands_for_a_reference(project):
    assert load("tiny").latent_dim == 3
    assert load("bundled").space.same_as(load("vae").space)
    assert load("thumbnail").latent_shape == (1, 4, 4)
    assert load("thumbnail?size=16x16").latent_shape == (1, 8, 8)
    assert load("mine").latent_dim == 4
    scaled = load("mine?scale=2")
    assert scaled.config["options"] == {"scale": "2"}


def test_a_model_goes_by_its_short_name_in_the_same_space(project):
    mine, written = load("mine?scale=2"), load("python:mine_of_project:load?scale=2")
    assert (mine.name, mine.space.model) == ("mine", "mine")
    assert mine.space.same_as(written.space)
    assert load("thumbnail").name == "thumbnail"
    assert load("vae").name == "vae"


def test_the_nearest_file_of_the_repository_counts(project, monkeypatch):
    (project / "work" / "latentmap.toml").write_text('[models]\nnear = "vae"\n')
    assert load("near").name == "near"
    with pytest.raises(ModelError, match="there is no model file tiny"):
        load("tiny")


def test_a_file_above_the_repository_does_not_count(project):
    (project / "work" / ".git").mkdir()
    assert project_models() is None


def test_without_a_repository_the_current_folder_alone_counts(project, monkeypatch):
    (project / ".git").rmdir()
    assert project_models() is None
    monkeypatch.chdir(project)
    assert project_models() is not None


def test_files_and_bundled_models_go_before_short_names(project):
    save_vae(Path("tiny"), seed=2, latent_dim=5)
    assert load("tiny").latent_dim == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models", "is not as it should be"),
        ("models = 5", "models must be a table"),
        ("[models]\na = 5", "a must be a reference in quotes"),
        ('[models]\na = " "', "a must be a reference in quotes"),
        ('[models]\n"a:b" = "vae"', "'a:b' is no short name"),
        ('[models]\nsvae = "vae"', "svae is the name of a bundled model"),
        ('[models]\na = "vae"\nb = "a?size=8x8"', "b is 'a.size=8x8', another short name"),
        ('[models]\na = "vae"\na = "svae"', "is not as it should be"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_in_one_line(project, text, message):
    (project / "latentmap.toml").write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        load("a")
    assert "\n" not in str(caught.value)
    assert load("svae").name == "svae"  # Where nothing asks for it, it is not read.
