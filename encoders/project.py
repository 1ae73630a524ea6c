"""Short names for models of a project: ``latentmap.toml`` in the current folder, or in a folder
above it up to that of the repository.

    [models]
    mine = "python:mine:load"
    tiny = "diffusers:models/tiny?size=128x128"

Relative paths in it start from its own folder.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from latentmap.encoders.bundled import bundled_models
from latentmap.errors import ModelError
from latentmap.files import read_regular, reading

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "latentmap.toml"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class ProjectModels:
    """The short names of a project, each with its reference, and the file in which they stand."""

    path: Path
    references: Mapping[str, str]


def project_models() -> ProjectModels | None:
    """The short names that hold in the current folder; None where there is no such file.

    Raises:
        ModelError: the file is not as it should be.
    """
    path = _find()
    return None if path is None else read_project(path)


def read_project(path: Path) -> ProjectModels:
    """The short names in a file.

    Raises:
        ModelError: it is not as it should be.
    """
    with reading(path, ModelError, "correct it"):
        said = tomllib.loads(read_regular(path).decode())
    models = said.get("models", {})
    if not isinstance(models, dict):
        raise ModelError(f'{path}: models must be a table of lines such as name = "reference"')
    for name, reference in models.items():
        _check(path, name, reference, models)
    return ProjectModels(path, models)


def _find() -> Path | None:
    """The nearest file. Above the current folder only what is of the same repository counts: others
    may write to the folders above it.
    """
    here = Path.cwd()
    folders = [here, *here.parents]
    roots = [number for number, folder in enumerate(folders) if (folder / ".git").exists()]
    for folder in folders[: roots[0] + 1 if roots else 1]:
        if (folder / FILE).is_file():
            return folder / FILE
    return None


def _check(path: Path, name: str, reference: object, models: Mapping[str, object]) -> None:
    if _NAME.fullmatch(name) is None:
        raise ModelError(
            f"{path}: {name!r} is no short name: take letters, digits, dots, dashes, underscores"
        )
    if name in bundled_models():
        raise ModelError(f"{path}: {name} is the name of a bundled model: choose another")
    if not isinstance(reference, str) or not reference.strip():
        raise ModelError(
            f"{path}: {name} must be a reference in quotes: a path, or scheme:name as in "
            "python:module:function"
        )
    if reference.partition("?")[0] in models:
        raise ModelError(
            f"{path}: {name} is {reference!r}, another short name: write out what it is"
        )
