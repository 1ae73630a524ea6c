import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from latentmap.cli.declaring import Command
from latentmap.cli.kinds import (
    WIDEST,
    Count,
    InputFile,
    NumberRange,
    OutputFile,
    OutputFolder,
    Reference,
    Text,
    number_of,
)
from latentmap.cli.lists import AnyNames, NameList, NumberList
from latentmap.errors import OutputError


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.npy").write_bytes(b"a")
    return tmp_path


def refusal(kind, value):
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(value, None, None)
    return refused.value.message


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Text(), "", "is empty: give a value, or leave the option out"),
        (Text(), "a\0b", "holds a zero byte: leave it out"),
        (Text(), "a" * 5000, "has 5,000 letters: give 4,096 at most"),
        (Count(2), "1_0", "'1_0' is no whole number: give one such as 2"),
        (Count(2), "9" * 20, f"{'9' * 20} is too large: give {2**31 - 1} at most"),
        (Count(1, WIDEST), "65537", "65537 is too large: give 65536 at most"),
        (NumberRange(min=0), "1e400", "1e400 is no finite number: give one such as 0.7"),
        (NumberRange(min=0), "1e300", "1e300 is too large: give 1e+18 at most"),
        (NumberList("sizes", "2,3"), "9" * 400, "give numbers from 0 to 2147483647, such as 2,3"),
        (NumberList("sizes", "2,3"), "2," * 64 + "2", "has 65 sizes: give 64 at most"),
        (
            AnyNames("columns", "a,b"),
            "a,,b",
            "'a,,b' is no list of columns: give some, such as a,b",
        ),
        (AnyNames("columns", "a,b"), "a, b,a", "a is given twice: give every one of the columns"),
        (InputFile(), "/dev/null", "'/dev/null' is a device or a pipe: give the path of a file"),
        (OutputFile(), "new/", "'new/' is a folder: give the path of a file"),
        (OutputFile(), "b" * 201, "is too long: give a shorter one"),
        (OutputFile(), "a\udcff", "is no UTF-8: choose another one"),
        (OutputFolder(), "a.npy/b", "'a.npy' is a file, not a folder: give another path"),
    ],
)
def test_a_wrong_value_is_told_what_is_right(kind, value, message):
    assert message in refusal(kind, value)


def test_what_cannot_be_written_is_no_output(workdir):
    os.mkfifo("pipe")
    Path("null").symlink_to("/dev/null")
    Path("nowhere").symlink_to("missing")
    for kind in (OutputFile(), OutputFolder()):
        assert "'pipe'" in refusal(kind, "pipe")
        assert "'null'" in refusal(kind, "null")
        assert "'nowhere' is a link to nothing: give another path" in refusal(kind, "nowhere")


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("-.5", -0.5), ("2.e3", 2000.0), ("0e5", 0.0), ("1e-300", 1e-300)]
    + [(text, None) for text in ("", "nan", "inf", "1_0", "\u0661", "1e400", "1e-400", "0x1")],
)
def test_a_number_is_what_it_says_or_none(text, number):
    assert number_of(text) == number


def test_a_name_list_may_be_empty_where_that_is_a_choice():
    some = NameList("change", ["flip", "noise"], none=True)
    assert some.convert("none", None, None) == ()
    with pytest.raises(click.BadParameter, match="choose among flip, noise, or none alone"):
        some.convert("none,flip", None, None)
    with pytest.raises(click.BadParameter, match="unknown change 'none'"):
        NameList("change", ["flip"]).convert("none", None, None)


def call(*words):
    @click.command(cls=Command)
    @click.argument("model", type=Reference(), metavar="MODEL")
    @click.option("--set", "sets", type=Reference(), multiple=True)
    @click.option("--out", type=OutputFile())
    @click.option("--cache", type=OutputFolder(), default=Path("cache"))
    def command(**_):
        Path("written").touch()

    result = CliRunner().invoke(command, words)
    assert isinstance(result.exception, OutputError | None), result.output
    return str(result.exception)


def test_no_output_is_an_input_by_whatever_name(workdir):
    os.link("a.npy", "hard")
    Path("soft").symlink_to("a.npy")
    Path("folder").mkdir()
    for name in ("a.npy", "./a.npy", str(workdir / "a.npy"), "folder/../a.npy", "hard", "soft"):
        refused = call("a.npy", "--out", name)
        assert refused.startswith("MODEL and --out are both ")
        assert refused.endswith(": give each a path of its own")
    for text in ("a.npy:2", "a.npy:/images"):
        assert "--set and --out are both" in call("b", "--set", text, "--out", "a.npy")
    assert "MODEL and --cache are both folder" in call("folder", "--cache", "folder")
    assert "--out and --cache are both cache" in call("b", "--out", "cache")
    assert not Path("written").exists()


def test_what_only_looks_like_an_input_may_be_written():
    # A bundled model's name is no path; nor is a number behind a colon.
    assert call("svae", "--set", "own:2", "--out", "svae", "--cache", ".") == "None"
    assert Path("written").exists()
