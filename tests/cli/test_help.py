"""Every command explains itself, stands in the README, and has the defaults of the library."""

import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from latentmap.cli.main import COMMANDS, main
from tests.cli.every_command import EVERY

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))

# What a command calls: options and parameters of one name have one default.
CALLS = {
    "train vae": ("latentmap.encoders.training.train_vae:VAESettings",),
    "train gan": ("latentmap.encoders.training.train_gan:GANSettings",),
    "train stylegan2": ("latentmap.encoders.training.train_stylegan2:StyleGAN2Settings",),
    "train inversion": ("latentmap.encoders.training.train_inversion:InversionSettings",),
    "train deteriorate": ("latentmap.encoders.training.train_deteriorated:Deterioration",),
    "sample": ("latentmap.encoders.sampling:draw_codes",),
    "encode": ("latentmap.cache.coder:Coder",),
    "fit": (
        "latentmap.cache.coder:Coder",
        "latentmap.relocation.relocating:fit_models",
        "latentmap.relocation.relocating:score_models",
        "latentmap.mapping.options:FitOptions",
    ),
    "compare": (
        "latentmap.cache.coder:Coder",
        "latentmap.comparison.models:CompareOptions",
        "latentmap.comparison.models:compare_models",
    ),
    "map methods": (
        "latentmap.mapping.options:FitOptions",
        "latentmap.relocation.several_maps:compare_methods",
    ),
    "map curve": (
        "latentmap.mapping.options:FitOptions",
        "latentmap.relocation.learning:learning_curve",
    ),
    "map factors": ("latentmap.mapping.shared_rank:shared_rank",),
    "models prune": (
        "latentmap.diagnostics.dropping:DropOptions",
        "latentmap.encoders.pruning:prune_file",
    ),
    "evaluate": ("latentmap.relocation.relocating:score_models",),
    "support order": ("latentmap.support.ordering:order_variables",),
    "support build": (
        "latentmap.support.building:SupportOptions",
        "latentmap.support.building:build_support_set",
    ),
    "support compare": (
        "latentmap.cache.coder:Coder",
        "latentmap.support.comparing:StrategyOptions",
        "latentmap.support.comparing:compare_strategies",
        "latentmap.mapping.options:FitOptions",
    ),
    "invert": (
        "latentmap.inversion.code_search:SearchSettings",
        "latentmap.inversion.inverting:invert_images",
    ),
    "explore": (
        "latentmap.explorer.preparing:explore_spaces",
        "latentmap.explorer.serving:Serving",
    ),
    "bench": (
        "latentmap.expressiveness.benchmark:bench",
        "latentmap.inversion.code_search:SearchSettings",
    ),
    "images pack": ("latentmap.images.packing:pack_images",),
}


def resolve(reference: str) -> Callable[..., Any]:
    module, _, names = reference.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    assert callable(found)
    return found


@pytest.mark.parametrize("words", EVERY)
def test_help_says_what_it_does_with_an_example(words):
    result = CliRunner().invoke(main, [*words.split(), "--help"], prog_name="latentmap")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"  latentmap {words}" in result.output


@pytest.mark.parametrize("words", EVERY)
def test_every_option_has_help(words):
    for parameter in EVERY[words].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{words} {parameter.opts[0]} has no help"


@pytest.mark.parametrize("words", EVERY)
def test_every_command_stands_in_the_readme(words):
    assert f"latentmap {words}" in README


def examples() -> Iterator[str]:
    """Every example of a command, in the shell blocks of README and docs, and in help."""
    blocks = re.findall(r"```sh\n(.*?)```", README + DOCS, flags=re.DOTALL)
    for text in (*blocks, *(command.help or "" for command in EVERY.values())):
        for line in text.replace("\\\n", " ").splitlines():
            example = line.partition("#")[0].strip()
            if example.startswith("latentmap ") and example != "latentmap --help":
                yield example


@pytest.mark.parametrize("example", dict.fromkeys(examples()))
def test_an_example_is_right_usage(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():  # As torchrun says --shard auto.
        monkeypatch.setenv(name, value)
    for folder in ("FOLDER", "runs"):  # Those that have to exist.
        Path(folder).mkdir()
    for file in ("faces.csv", "persons.csv"):
        Path(file).touch()
    words = shlex.split(example)[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        child = command.get_command(click.Context(command), words.pop(0))
        assert child is not None, example
        command = child
    command.make_context(example, words)  # Wrong usage raises.


@pytest.mark.parametrize("words", COMMANDS)
def test_the_group_describes_a_command_in_a_short_sentence(words):
    assert COMMANDS[words].help.endswith(".")
    assert len(COMMANDS[words].help) <= 60


@pytest.mark.parametrize(
    ("words", "reference"), [(words, call) for words, calls in CALLS.items() for call in calls]
)
def test_option_defaults_are_those_of_the_library(words, reference):
    library = {
        parameter.name: parameter.default
        for parameter in inspect.signature(resolve(reference)).parameters.values()
        if parameter.default is not inspect.Parameter.empty
    }
    # Without a default of its own an option leaves the choice to the library.
    context = click.Context(EVERY[words])
    options = {
        option.name: option.type_cast_value(context, default)
        for option in EVERY[words].params
        if (default := option.to_info_dict()["default"]) is not None
    }
    shared = options.keys() & library.keys()
    assert shared, f"no option of {words} is a parameter of {reference}"
    assert {name: options[name] for name in shared} == {name: library[name] for name in shared}
