"""The table of limits, and who may raise them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.limits import LIMITS, advice, limit, raised_limits

PAGE = Path(__file__).resolve().parents[2] / "docs" / "strangers.md"


def test_a_limit_is_raised_within_a_block():
    with raised_limits({"memory": 7}):
        assert limit("memory") == 7
        with raised_limits({"seconds": 5}):
            assert (limit("memory"), limit("seconds")) == (7, 5)
    assert limit("memory") == LIMITS["memory"].most


@pytest.mark.parametrize(("limits", "word"), [({"money": 1}, "money"), ({"memory": 0}, "positive")])
def test_what_is_no_limit_is_refused(limits, word):
    with pytest.raises(ValueError, match=word), raised_limits(limits):
        pass
    assert limit("memory") == LIMITS["memory"].most


def test_advice_has_the_option_and_the_limit_of_now():
    with raised_limits({"memory": 7}):
        assert advice("memory").endswith("latentmap --limit memory=N ..., now 7")


@pytest.mark.parametrize("text", ["memory", "memory=", "memory=-1", "memory=0", "x=1", "", "=1"])
def test_the_command_line_refuses_what_is_no_limit(text):
    result = CliRunner().invoke(main, ["--limit", text, "images", "show", "--data", "digits"])
    assert result.exit_code == 2
    assert "--limit" in result.stderr


def test_the_command_line_refuses_more_digits_than_a_limit_has():
    result = CliRunner().invoke(main, ["--limit", "memory=" + "9" * 5000, "images"])
    assert result.exit_code == 2


def test_the_page_has_the_table():
    page = PAGE.read_text(encoding="utf-8")
    for name, one in LIMITS.items():
        assert f"| {name} | {one.most} | {one.unit} | {one.reason} |" in page
