"""What commands print: lines and tables for people, one JSON object for machines.

All of it may quote names and texts of files of others. It goes through here alone, and nothing of
it is taken by a terminal for commands, or ends a command because it cannot be written.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from latentmap.printing import encodable, printable, shortened

_WORDS = "latentmap.words"
_NAMED = 5  # Images that a warning names; --json lists all.


def note_words(context: click.Context, words: Sequence[str]) -> None:
    """Keeps the words of a command line for ``command_line``."""
    context.meta[_WORDS] = tuple(words)


def command_line() -> str:
    """The command that runs, as it is typed, for the record of what made a result; in one line,
    with escapes for what is no text.
    """
    words = click.get_current_context().meta.get(_WORDS, sys.argv[1:])
    return printable(shlex.join(["latentmap", *words]))


def say(*lines: object, err: bool = False) -> None:
    """Lines on stdout, or on stderr; what they quote cannot break them."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    for line in lines:
        text = printable(str(line))
        click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def say_title(title: str, *, err: bool = False) -> None:
    """A line of ours in bold, below an empty one."""
    click.secho(f"\n{title}", bold=True, err=err)


def show_result(result: object, *, title: str | None = None) -> None:
    """A result as its tables, or these as text, on stdout, below the ``title`` that says which
    images it is of.
    """
    if title is not None:
        say(title, "")
    say(*str(result).split("\n"))


def print_json(result: Any) -> None:
    """One JSON object on stdout; a number that is not finite is null."""
    click.echo(json_text(result))


def json_text(result: Any) -> str:
    """The same as text, for a file."""
    return json.dumps(_plain(result), indent=2, allow_nan=False)


def warn(line: str) -> None:
    """A line on stderr that is no error."""
    say(line, err=True)


def warn_skipped(names: Sequence[str]) -> None:
    """One line on stderr that says which images were left out, when there are some."""
    if names:
        more = ", ..." if len(names) > _NAMED else ""
        warn(
            f"skipped {len(names)} images that could not be read: "
            f"{', '.join(map(shortened, names[:_NAMED]))}{more}"
        )


def tell_left_out(left_out: Mapping[str, int]) -> None:
    """One line on stderr that says which images were not judged, and why, when there are some."""
    from latentmap.codes import left_out_in_words

    told = left_out_in_words(left_out)
    if told:
        warn(told)


def _plain(value: Any) -> Any:
    """The same value for JSON that every reader takes: with None for every number in it that is not
    finite, and no text that is not UTF-8.
    """
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {_plain(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
