"""Options that are lists: ``16,64,256`` or ``ridge,pls``, as one word."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

import click

from latentmap.cli.kinds import MOST, Text

_LONGEST = 64  # Numbers; no picture can be halved as often, and nobody looks at more.


class NumberList(Text):
    """Whole numbers from ``least`` to ``most``, as a tuple; with ``every`` the word ``all`` stands
    among them for None.
    """

    name = "numbers"

    def __init__(
        self, what: str, example: str, *, least: int = 0, most: int = MOST, every: bool = False
    ) -> None:
        self.what, self.example, self.every = what, example, every
        self.least, self.most = least, most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, ...]:
        text = super().convert(value, param, ctx)
        if isinstance(text, tuple):  # A default.
            return text
        parts = [part.strip() for part in text.split(",")]
        if len(parts) > _LONGEST:
            self.fail(f"has {len(parts)} {self.what}: give {_LONGEST} at most", param, ctx)
        if not all(self._good(part) for part in parts):
            self.fail(
                f"{text!r} is no list of {self.what}: give numbers from {self.least} to "
                f"{self.most}, such as {self.example}",
                param,
                ctx,
            )
        return tuple(None if part == "all" else int(part) for part in parts)

    def _good(self, part: str) -> bool:
        if part == "all":
            return self.every
        return part.isascii() and part.isdigit() and self.least <= int(part) <= self.most


class NameList(Text):
    """Some of a few names, each once, as a tuple; the word ``all`` stands for all of them, with
    ``none`` that word for an empty choice.
    """

    name = "names"

    def __init__(self, what: str, names: Collection[str], *, none: bool = False) -> None:
        self.what, self.names, self.none = what, tuple(names), none

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        text = super().convert(value, param, ctx)
        if isinstance(text, tuple):  # A default.
            return text
        if text == "all":
            return self.names
        if text == "none" and self.none:
            return ()
        parts = tuple(part.strip() for part in text.split(","))
        for number, part in enumerate(parts):
            if part not in self.names:
                close = difflib.get_close_matches(part, self.names, n=1)
                nearest = f" (did you mean {close[0]}?)" if close else ""
                known = ", ".join(self.names) + ", or none alone" * self.none
                self.fail(
                    f"unknown {self.what} {part!r}{nearest}: choose among {known}", param, ctx
                )
            if part in parts[:number]:
                self.fail(f"{part} is given twice: give every {self.what} once", param, ctx)
        return parts


class AnyNames(Text):
    """Names of any kind, each once, as a tuple."""

    name = "names"

    def __init__(self, what: str, example: str) -> None:
        self.what, self.example = what, example

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        text = super().convert(value, param, ctx)
        parts = tuple(part.strip() for part in text.split(","))
        if not all(parts):
            self.fail(
                f"{text!r} is no list of {self.what}: give some, such as {self.example}", param, ctx
            )
        for number, part in enumerate(parts):
            if part in parts[:number]:
                self.fail(
                    f"{part} is given twice: give every one of the {self.what} once", param, ctx
                )
        return parts
