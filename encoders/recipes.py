"""Recipes: how a model is trained from public data, as a file that ships with it.

A recipe is JSON: ``about`` (what the model is), ``data`` (the name of the published file of
images), ``terms`` (what may be done with these), ``group_by`` (optional: the table beside them that
keeps people on one side of a split), ``options`` (what every training on them is given), ``steps``
(the trainings, each as a command line of ``latentmap train``), ``test_data`` and
``test_split`` (both optional: the images that the figures are of) and ``defects``.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from latentmap.encoders.bundled import FOLDER
from latentmap.errors import ModelError
from latentmap.files import read_json, reading
from latentmap.images import SPLITS, ImageSource, Split, open_images

# What a step may be: the trainings of `latentmap train`.
TRAININGS = ("vae", "split-vae", "gan", "stylegan2", "inversion")


class Step(NamedTuple):
    """A command line of ``latentmap train``, and the model file that it writes."""

    arguments: tuple[str, ...]
    out: Path


@dataclass(frozen=True)
class Recipe:
    """What a recipe file says; see the module."""

    name: str
    about: str
    data: str
    terms: str
    defects: str
    options: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]
    group_by: str | None = None
    test_data: str | None = None
    test_split: Split | None = None

    def plan(self, data: str | Path, out: str | Path) -> list[Step]:
        """The trainings on the images at ``data``, with the files beside them, that lead to the
        model file ``out``, each with a file of its own beside it.
        """
        data, out = Path(data), Path(out)
        images = ["--data", str(data), *self.options]
        if self.group_by is not None:
            images += ["--group-by", str(data.parent / self.group_by)]
        plan: list[Step] = []
        for number, step in enumerate(self.steps, start=1):
            given = images
            if step[0] == "inversion":
                # It learns from the generator of the step before, and perhaps from the images.
                learns = any(word.startswith("--real-weight") for word in step)
                given = ["--generator", str(plan[-1].out), *(images if learns else ())]
            path = out.with_name(f"{out.stem}-step-{number}.safetensors")
            plan.append(Step((*step, *given, "--out", str(path)), path))
        return plan

    def open_test(self, data: str | Path) -> ImageSource:
        """The images that the figures are of, which no training sees.

        Raises:
            ImageError: they are not beside ``data``.
        """
        data = Path(data)
        return open_images(
            data.parent / (self.test_data or data.name),
            split=self.test_split,
            group_by=None if self.group_by is None else data.parent / self.group_by,
        )


def bundled_recipes() -> dict[str, Path]:
    """The recipe files that ship with the package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.json"))}


def read_recipe(reference: str | Path) -> Recipe:
    """The recipe of a bundled model, by name, or that of a file.

    Raises:
        ModelError: there is none, or it is no recipe.
    """
    known = bundled_recipes()
    path = known.get(str(reference), Path(reference))
    choices = f"give a file, or one of {', '.join(known)}"
    if not path.exists():
        raise ModelError(f"there is no recipe {str(reference)!r}: {choices}")
    with reading(path, ModelError, choices, what="is no recipe as it should be"):
        said = read_json(path)
        if not isinstance(said["steps"], list):
            raise TypeError("steps must be a list of command lines")
        said["options"] = tuple(_words(said["options"]))
        said["steps"] = tuple(tuple(_words(step)) for step in said["steps"])
        recipe = Recipe(name=path.stem, **said)
        _check(recipe)
        return recipe


def _check(recipe: Recipe) -> None:
    """Refuses what would fail only when it is used, perhaps after hours of training."""
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if not isinstance(value, str | tuple) and (value is not None or field.default is not None):
            raise TypeError(f"{field.name} must be a text, not {value!r}")
    if recipe.test_split not in (None, *SPLITS):
        raise ValueError(f"test_split must be one of {', '.join(SPLITS)}")
    for number, step in enumerate(recipe.steps, start=1):
        if not step or step[0] not in TRAININGS:
            raise ValueError(f"step {number} must begin with one of {', '.join(TRAININGS)}")
    if not recipe.steps or recipe.steps[0][0] == "inversion":
        raise ValueError("the first step must train on images: an inversion needs a generator")
    if recipe.steps[-1][0] in ("gan", "stylegan2"):
        raise ValueError("the last step must give a model that encodes: add an inversion")


def _words(line: object) -> list[str]:
    if not isinstance(line, str):
        raise TypeError(f"{line!r} is no command line")
    return shlex.split(line)
