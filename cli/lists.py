"""Options that are lists: ``16,64,256`` or ``ridge,pls``, as one word."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

import click


# Generic in some versions of click only.
class NumberList(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Whole numbers from ``least`` on, as a tuple; with ``every`` the word ``all`` stands among
    them for None.
    """

    name = "numbers"

    def __init__(self, what: str, example: str, *, least: int = 0, every: bool = False) -> None:
        self.what, self.example, self.least, self.every = what, example, least, every

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in value.split(",")]
        if not all(self._good(part) for part in parts):
            least = f" from {self.least} on" if self.least else ""
            self.fail(
                f"{value!r} is no list of {self.what}: give numbers{least}, such as {self.example}",
                param,
                ctx,
            )
        return tuple(None if part == "all" else int(part) for part in parts)

    def _good(self, part: str) -> bool:
        if part == "all":
            return self.every
        return part.isascii() and part.isdigit() and int(part) >= self.least


class NameList(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Some of a few names, each once, as a tuple; the word ``all`` stands for all of them."""

    name = "names"

    def __init__(self, what: str, names: Collection[str]) -> None:
        self.what, self.names = what, tuple(names)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        if value == "all":
            return self.names
        parts = tuple(part.strip() for part in value.split(","))
        for number, part in enumerate(parts):
            if part not in self.names:
                close = difflib.get_close_matches(part, self.names, n=1)
                nearest = f" (did you mean {close[0]}?)" if close else ""
                self.fail(
                    f"unknown {self.what} {part!r}{nearest}: choose among {', '.join(self.names)}",
                    param,
                    ctx,
                )
            if part in parts[:number]:
                self.fail(f"{part} is given twice: give every {self.what} once", param, ctx)
        return parts
