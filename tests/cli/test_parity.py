"""Every number of the terminal is on the page, and the reverse."""

import re
from itertools import chain
from pathlib import Path

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.report.parts import Table
from latentmap.report.store import read_report
from latentmap.report.text import table_text
from tests.cli.conftest import save_vae

ON = ["--src", "a.safetensors", "--dst", "b.safetensors", "--data", "few.npy"]
SEARCH = ["--steps", "4", "--starts", "1"]
TWINS = ["a.safetensors", "c.safetensors"]
MODELS = ["a.safetensors", "b.safetensors", "c.safetensors"]
TRAIN = [
    *(
        "train",
        "vae",
        "--data",
        "few.npy",
        "--batch-size",
        "20",
        "--steps",
        "150",
        "--beta",
        "0.01",
    ),
    *(
        "--latent-dim",
        "3",
        "--architecture",
        "dense",
        "--widths",
        "16",
        "--learning-rate",
        "0.01",
        "--out",
        "vae.safetensors",
    ),
]
BUILD = [
    *("support", "build", "a.safetensors", "--data", "few.npy", "--members", "20"),
    *("--out", "set.h5"),
]
COMMANDS = {
    "fit": ["fit", *ON],
    "map methods": ["map", "methods", *ON],
    "map curve": ["map", "curve", *ON, "--pairs", "20,all", "--draws", "2"],
    "invert": ["invert", "a.safetensors", "--data", "few.npy", "--limit", "5", *SEARCH],
    "diagnose": ["diagnose", "a.safetensors", "--data", "few.npy"],
    "diagnose of two": ["diagnose", "a.safetensors", "b.safetensors", "--data", "few.npy"],
    "fit with a ceiling": ["fit", *ON, "--ceiling"],
    "evaluate": [
        *("evaluate", "map.safetensors", "--data", "few.npy", "--split", "test"),
        *("--by", "brightness"),
    ],
    "trace": ["trace", "show", "a.trace"],
    "trace of gates": ["trace", "show", "a.trace"],
    "trace of a deteriorated variable": ["trace", "show", "a.trace"],
    "prune": [
        *("models", "prune", "vae.safetensors", "--data", "few.npy", "--until-mse", "0.2"),
        *("--out", "new.safetensors"),
    ],
    "support show": ["support", "show", "set.h5", "--data", "few.npy"],
    "support show of relaxed images": ["support", "show", "set.h5"],
    "support show of random images": ["support", "show", "set.h5"],
    "compare": ["compare", *MODELS, "--data", "few.npy", "--permutations", "19"],
    "compare with all": [
        *("compare", *TWINS, "--data", "few.npy", "--permutations", "19", "--methods", "pls"),
        *("--ceiling", "--by", "brightness"),
    ],
    "bench": [
        *("bench", "a.safetensors", "b.safetensors", "--set", "own:12", "--set", "few.npy:10"),
        *("--encoder", "a.safetensors", *SEARCH),
    ],
}
# Of commands that show what others made: what made it.
MADE = {
    "evaluate": [["fit", *ON, "--out", "map.safetensors"]],
    "trace": [[*TRAIN, "--trace", "a.trace"]],
    "trace of gates": [[*TRAIN, "--gates", "--tau", "60", "--trace", "a.trace"]],
    "trace of a deteriorated variable": [
        TRAIN,
        [
            *("train", "deteriorate", "vae.safetensors", "--data", "few.npy", "--limit", "20"),
            *("--batch-size", "10", "--gamma", "1", "--growing", "1", "--after", "1"),
            *("--recovery", "1", "--trace", "a.trace", "--out", "noisy.safetensors"),
        ],
    ],
    "prune": [TRAIN],
    "support show": [[*BUILD, "-k", "2"]],
    "support show of relaxed images": [
        [*BUILD, "-k", "3", "--threshold", "0.1", "--center", "zero"]
    ],
    "support show of random images": [[*BUILD, "--strategy", "random"]],
}
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def run(*words):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("name", COMMANDS)
def test_the_tables_of_the_terminal_are_those_of_the_page(workdir, name):
    save_vae(workdir / "c.safetensors", seed=3, latent_dim=5)
    for words in MADE.get(name, []):
        run(*words)
    result = run(*COMMANDS[name], "--report", "report")
    sections = read_report(Path("report")).sections
    rest = result.stdout
    for table in (one for part in sections for one in part.blocks if isinstance(one, Table)):
        assert table_text(table) in rest
        rest = rest.replace(table_text(table), "", 1)
    # Lines that say where something was written, and titles, have no figures of a result.
    said = [(part.title, *part.text, str(part.record)) for part in sections]
    on_page = set(NUMBER.findall(" ".join(chain.from_iterable(said))))
    assert set(NUMBER.findall(rest)) <= on_page
