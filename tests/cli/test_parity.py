"""Every number of the terminal is on the page, and the reverse."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.report.parts import Table
from latentmap.report.store import read_report
from latentmap.report.text import table_text

ON = ["--src", "a.safetensors", "--dst", "b.safetensors", "--data", "few.npy"]
SEARCH = ["--steps", "4", "--starts", "1"]
COMMANDS = {
    "fit": ["fit", *ON],
    "map methods": ["map", "methods", *ON],
    "map curve": ["map", "curve", *ON, "--pairs", "20,all", "--draws", "2"],
    "invert": ["invert", "a.safetensors", "--data", "few.npy", "--limit", "5", *SEARCH],
    "diagnose": ["diagnose", "a.safetensors", "--data", "few.npy"],
    "diagnose of two": ["diagnose", "a.safetensors", "b.safetensors", "--data", "few.npy"],
    "bench": [
        *("bench", "a.safetensors", "b.safetensors", "--set", "own:12", "--set", "few.npy:10"),
        *("--encoder", "a.safetensors", *SEARCH),
    ],
}
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_the_tables_of_the_terminal_are_those_of_the_page(workdir, words):
    result = CliRunner().invoke(main, [*words, "--report", "report"])
    assert result.exit_code == 0, result.output
    (section,) = read_report(Path("report")).sections
    rest = result.stdout
    for table in (block for block in section.blocks if isinstance(block, Table)):
        assert table_text(table) in rest
        rest = rest.replace(table_text(table), "", 1)
    # Lines that say where something was written, and titles, have no figures of a result.
    on_page = set(NUMBER.findall(" ".join((section.title, *section.text, str(section.record)))))
    assert set(NUMBER.findall(rest)) <= on_page
