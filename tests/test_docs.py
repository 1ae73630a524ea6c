"""What docs/ shows works: commands and Python run, names and links lead somewhere.

The tutorial's commands run one after the other on a small data set. A comment before a block, such
as ``<!-- in the test: --epochs 1 -->``, gives options other values there, so that this is quick.
"""

import importlib
import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import latentmap
from latentmap.cache import Entries
from latentmap.cli.main import COMMANDS, main
from latentmap.codes import PIXELS, Codes, Space, pair
from latentmap.encoders import build
from latentmap.errors import LatentmapError
from latentmap.images import open_images
from latentmap.mapping import METHODS, export_map, fit
from tests.encoders import nvlabs_writer
from tests.encoders.foreign_writers import STYLEGAN2

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
BLOCK = re.compile(r"(?:<!-- in the test: (?P<smaller>.*?) -->\n)?```sh\n(?P<lines>.*?)```", re.S)


def blocks(page: str) -> Iterator[tuple[str, list[str]]]:
    """The shell blocks of a page: the options for the test, and the lines."""
    for found in BLOCK.finditer(page):
        lines = found["lines"].replace("\\\n", " ").splitlines()
        yield found["smaller"] or "", lines


def commands(page: str) -> Iterator[list[str]]:
    """The commands of a page as they run in the test, each as words."""
    for smaller, lines in blocks(page):
        values = iter(shlex.split(smaller))
        others = dict(zip(values, values, strict=True))
        commands = [words for line in lines if (words := shlex.split(line, comments=True))]
        unused = others.keys() - {word for words in commands for word in words}
        assert not unused, f"no command has {unused}"
        for words in commands:
            yield [
                others.get(before, word)
                for before, word in zip(["", *words[:-1]], words, strict=True)
            ]


def python(page: str) -> str:
    """The Python blocks of a page, as one program."""
    return "\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.S))


def invoke(words: list[str]) -> None:
    assert words[0] == "latentmap", words
    result = CliRunner().invoke(main, words[1:], prog_name="latentmap")
    assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with what the tutorial starts from: images, and a foreign checkpoint."""
    monkeypatch.chdir(tmp_path)
    digits = open_images("digits", limit=700)
    Path("images").mkdir()
    for number in range(len(digits)):
        pixels = digits.read(number).squeeze()
        Image.fromarray(pixels).save(f"images/{number:05}.png")
    torch.manual_seed(0)
    config = {**STYLEGAN2, "image_shape": [1, 8, 8], "channels": [8, 8]}
    weights = build("stylegan2", config).network.state_dict()
    snapshot = {"G_ema": nvlabs_writer.generator(config, weights)}
    nvlabs_writer.write(Path("network-snapshot.pkl"), snapshot)
    return tmp_path


def test_the_tutorial_runs_from_its_first_command_to_its_last(folder):
    for words in commands(PAGES["tutorial"]):
        invoke(words)
    assert (folder / "report").is_dir()


def test_the_adapter_of_the_page_about_own_models_keeps_the_contract(folder, capsys):
    exec(python(PAGES["own_model"]), {"__name__": "own_model"})
    assert "efficiency" in capsys.readouterr().out


def test_the_code_of_the_page_about_any_model_is_a_model(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    (folder / "mine.py").write_text(python(PAGES["any_model"]))
    ran = [words for words in commands(PAGES["any_model"]) if "python:mine" in " ".join(words)]
    for words in ran:
        invoke(words)
    assert len(ran) == 2
    assert (folder / "map.safetensors").exists()


def test_the_callback_of_the_page_about_previews_writes_thumbnails(tmp_path, monkeypatch):
    processing = pytest.importorskip("diffusers.image_processor")
    monkeypatch.chdir(tmp_path)
    latents = torch.rand(30, 4, 5, 6, generator=torch.manual_seed(0))
    ids = [str(i) for i in range(30)]
    source, target = (
        Codes.from_array(
            ids, rows.flatten(1), space=Space(kind, rows[0].numel(), kind, kind, shape)
        )
        for rows, kind, shape in ((latents, "z", (4, 5, 6)), (latents[:, :3], PIXELS, (3, 5, 6)))
    )
    export_map(fit(pair(source, target), patch=3), "preview.safetensors", "diffusers")
    names: dict = {}
    exec(python(PAGES["previews"]), names)
    pipe = SimpleNamespace(image_processor=processing.VaeImageProcessor())
    values = {"latents": latents[:1].half()}
    assert names["show"](pipe, 7, 0, values) is values
    with Image.open("step-007.png") as picture:
        shown = np.asarray(picture) / 255
    assert np.abs(shown - latents[0, :3].movedim(0, -1).numpy()).max() < 0.02


def test_the_programs_of_the_python_page_run(folder, capsys):
    digits = ["--data", "images", "--epochs", "1", "--latent-dim", "3"]
    dense = ["--architecture", "dense", "--widths", "8"]
    invoke(["latentmap", "train", "vae", *digits, *dense, "--out", "vae.safetensors"])
    invoke(
        ["latentmap", "train", "vae", *digits, *dense, "--seed", "1", "--out", "svae.safetensors"]
    )
    rows = "".join(f"{number:05}.png,{1 - 2 * (number % 2)}\n" for number in range(0, 700, 3))
    Path("faces.csv").write_text(f"file,Smiling\n{rows}")
    exec(python(PAGES["python"]).replace("faces.zip", "images"), {"__name__": "example"})
    assert Path("smiling.png").is_file()
    assert "efficiency" in capsys.readouterr().out
    # A direction is carried without what stands above it.
    Path("smiling.png").unlink()
    (_, below) = PAGES["python"].split("## A direction, carried into another space\n")
    exec(python(below.split("\n## ")[0]).replace("faces.zip", "images"), {"__name__": "alone"})
    assert Path("smiling.png").is_file()
    assert "certainty" in capsys.readouterr().out


def test_the_program_of_the_page_about_many_workers_makes_all_shards(folder, capsys):
    exec(python(PAGES["scale"]), {})
    missing, *scores = capsys.readouterr().out.splitlines()
    assert missing == "()"
    assert scores[0].startswith("R2")
    assert len(Entries("codes").all()) == 2


def test_the_methods_of_the_page_are_those_of_the_table():
    rows = re.findall(r"^\| (\S+) \| `(\w\S+)` \| (.*) \|$", PAGES["methods"], flags=re.M)
    records = [(one.family, one.name, one.description) for one in METHODS.values()]
    assert sorted(rows) == sorted(records)
    assert [family for family, _ in groupby(rows, lambda row: row[0])] == list(
        dict.fromkeys(family for family, _, _ in records)
    )


def test_the_programs_of_the_page_about_methods_run(capsys):
    x = torch.randn(60, 4, generator=torch.manual_seed(0))
    y = 2 * x[:, :3]
    source, target = (
        Codes.from_array(
            [str(i) for i in range(60)], rows, space=Space("z", rows.shape[1], name, name)
        )
        for name, rows in (("a", x), ("b", y))
    )
    names = {"pairs": pair(source, target), "source_codes": x, "target_codes": y}
    exec(python(PAGES["methods"]), names)
    assert "diagonal, penalty 0.1, 60 pairs, rank 3" in capsys.readouterr().out


def test_the_reference_of_commands_is_made_of_all_of_them():
    # In eval-rst: as a directive of MyST its output would be read as Markdown.
    directive = ".. click:: latentmap.cli.main:main\n   :prog: latentmap\n   :nested: full\n"
    assert f"```{{eval-rst}}\n{directive}```\n" in PAGES["commands"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_person_finds_every_command_on_a_page_that_is_not_made_by_a_program(name):
    assert any(f"latentmap {name}" in page for page in PAGES.values())


def documented() -> list[str]:
    """Full names of what the Python page shows."""
    return re.findall(r"^\.\. auto(?:function|class):: (\S+)", PAGES["python"], flags=re.M)


@pytest.mark.parametrize("name", documented())
def test_the_python_page_shows_what_exists_and_has_a_docstring(name):
    module, _, attribute = name.rpartition(".")
    assert getattr(importlib.import_module(module), attribute).__doc__


def test_the_python_page_shows_every_public_name():
    # The errors stand there as a module.
    shown = {*documented(), f"latentmap.{LatentmapError.__name__}"}
    assert {f"latentmap.{name}" for name in latentmap.__all__} <= shown
    assert ".. automodule:: latentmap.errors\n" in PAGES["python"]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_pages_and_sections_that_exist(name):
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGES[name]):
        assert (DOCS / image).is_file()
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)]+)\)", PAGES[name]):
        if target.startswith("https://"):
            continue
        page, _, section = target.partition("#")
        if page.endswith(".ipynb"):
            assert (DOCS / page).is_file() and not section, f"{name}: {target}"
            continue
        text = PAGES[Path(page).stem] if page else PAGES[name]
        headings = re.findall(r"^#+ (.*)", text, flags=re.M)
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}
        assert not section or section in anchors, f"{name}: {target}"
