import io
import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import latentmap.cli
from latentmap.cli.main import main
from latentmap.cli.output import print_json, say, show_result, warn, warn_skipped
from latentmap.report import Table, as_text


def test_numbers_that_are_not_finite_are_null_however_deep_they_lie(capsys):
    print_json({"a": float("nan"), "b": [1.5, (float("inf"), {"c": -float("inf")})], "d": "nan"})
    expected = {"a": None, "b": [1.5, [None, {"c": None}]], "d": "nan"}
    assert json.loads(capsys.readouterr().out) == expected


def test_skipped_images_are_one_line_and_none_is_no_line(capsys):
    warn_skipped([])
    assert capsys.readouterr().err == ""
    warn_skipped(list("abcdefg"))
    expected = "skipped 7 images that could not be read: a, b, c, d, e, ...\n"
    assert capsys.readouterr().err == expected


def test_lines_cannot_be_broken_by_what_they_quote(capsys):
    say("a\nb", "\x1b[2J\u202e")
    warn("bad\udcff")
    said = capsys.readouterr()
    assert said.out == "a\\nb\n\\x1b[2J\\u202e\n"
    assert said.err == "bad\\xff\n"


def test_a_result_keeps_its_lines(capsys):
    show_result(as_text([Table.listed("T", ["name"], [["a\nb"], ["c"]])]))
    assert capsys.readouterr().out == "name\na\\nb\nc\n"


def test_what_the_terminal_has_no_letters_for_is_an_escape(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say("日é")
    assert raw.getvalue() == b"\\u65e5\\xe9\n"


def test_json_is_text_that_every_reader_takes(capsys):
    print_json({"bad\udcff": ["\ud800", "\x1b\u202e"]})
    said = capsys.readouterr().out
    assert json.loads(said) == {r"bad\xff": [r"\ud800", "\x1b\u202e"]}
    assert said.isascii() and "\x1b" not in said


@pytest.mark.parametrize("words", [["\x1b[2J"], ["fit", "\x1b[2J\u202e"], ["--\x1b[2J"]])
def test_wrong_usage_is_quoted_safely(words):
    said = CliRunner().invoke(main, words)
    assert said.exit_code == 2
    assert "\x1b" not in said.output and "\u202e" not in said.output


def test_a_command_without_words_shows_its_help_in_lines():
    assert "\nOptions:\n" in CliRunner().invoke(main, ["map"]).output


def test_commands_print_by_one_module():
    for path in sorted(Path(latentmap.cli.__file__).parent.glob("*.py")):
        printed = re.findall(
            r"\bclick\.s?echo\(|\bprint\(|\bsys\.std(?:out|err)\.", path.read_text()
        )
        assert not printed or path.name == "output.py", path.name
