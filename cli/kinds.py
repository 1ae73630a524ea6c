"""The kinds of values that options and arguments have, which refuse a wrong one before any work.

    Text                            words: an expression, a frame, the beginning of an id
    Count, NumberRange              whole numbers, and others
    Size                            height and width of images
    InputFile, InputFolder          a file, and a folder, that is read; ``InputPath`` is either
    ClusterAddress                  where a Ray cluster is
    Reference                       what is read by its path or its name: a model, images
    OutputFile, OutputFolder        what is written

Lists are in ``lists.py``; closed choices are ``click.Choice``. A test over all commands sees that
every option is of one of these. ``refuse_overwriting`` compares what a command reads with what it
writes.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

MOST = 2**31 - 1  # Of anything that is counted.
WIDEST = 2**16  # Channels and variables; networks multiply them with each other.

_LONGEST = 4096  # Letters: no path is longer, and no expression has to be.
_LONGEST_NAME = 200  # Bytes; what is made beside an output has a longer name, which ends at 255.
_LARGEST = 1e18  # Its square is a number of float32 still.
_NUMBER = re.compile(r"[+-]?(?P<digits>\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


# Generic in some versions of click only, as are all of its types.
class Text(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Words, which are not empty, and hold nothing that the system ends a text at."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        # Other values are defaults of ours.
        if isinstance(value, str):
            fault = _fault_of(value)
            if fault is not None:
                self.fail(fault, param, ctx)
        return super().convert(value, param, ctx)


def _fault_of(text: str) -> str | None:
    if not text.strip():
        return "is empty: give a value, or leave the option out"
    if "\0" in text:
        return f"{text!r} holds a zero byte: leave it out"
    if len(text) > _LONGEST:
        return f"has {len(text):,} letters: give {_LONGEST:,} at most"
    return None


class Count(click.IntRange):
    """Whole numbers from ``min`` to ``most``, in plain digits."""

    def __init__(self, min: int, most: int = MOST) -> None:
        # Where there is no end but ours, help says nothing of it.
        super().__init__(min, None if most == MOST else most)
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, str):
            if not re.fullmatch(r"[+-]?[0-9]+", value) or len(value) > _LONGEST:
                self.fail(f"{value!r} is no whole number: give one such as {self.min}", param, ctx)
            if int(value) > self.most:
                self.fail(f"{value} is too large: give {self.most} at most", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number


class NumberRange(click.FloatRange):
    """Numbers in a range, without infinity, and without nan, which no range keeps out: it is
    neither below nor above anything.
    """

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, str):
            given = number_of(value)
            if given is None:
                self.fail(f"{value} is no finite number: give one such as 0.7", param, ctx)
            if given > _LARGEST:
                self.fail(f"{value} is too large: give {_LARGEST:g} at most", param, ctx)
        number: float = super().convert(value, param, ctx)
        return number


class Size(Text):
    """``N`` or ``HxW``, in pixels, as height and width."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        text: str = super().convert(value, param, ctx)
        from latentmap.encoders.references import parse_size

        try:
            return parse_size(text)
        except ValueError as error:
            self.fail(f"{text!r} {error}", param, ctx)


def number_of(text: str) -> float | None:
    """The number that a text is; None where it is none, or is infinite, or so small that it would
    be taken for 0.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    number = float(text)
    vanished = number == 0 and re.search("[1-9]", found["digits"])
    return None if vanished or math.isinf(number) else number


class _PathKind(Text, click.Path):
    """A path that the system can look up."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        reason = _reason_against(Path(path))
        if reason is not None:
            self.fail(reason, param, ctx)
        return path


def _reason_against(path: Path) -> str | None:
    """Why there can be no file or folder of ours at a path."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        # Whatever else is wrong is said by who opens it.
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            return f"{str(path)!r} cannot be looked up: {error.strerror}; give another path"
        return None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return f"{str(path)!r} is a device or a pipe: give the path of a file"
    return None


class InputPath(_PathKind):
    """A file or folder that is read."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)


class InputFile(_PathKind):
    """A file that is read."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False, path_type=Path)


class InputFolder(_PathKind):
    """A folder that is read."""

    def __init__(self) -> None:
        super().__init__(exists=True, file_okay=False, path_type=Path)


class Reference(_PathKind):
    """What is read by its path or its name, as text: ``svae``, ``faces.zip``, ``file.h5:/images``,
    ``own:256``.
    """

    def __init__(self) -> None:
        super().__init__(path_type=str)


class _OutputPath(_PathKind):
    """A path that something can be written to: not a link to nothing, which writing would replace,
    and a name that can be recorded.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Path = super().convert(value, param, ctx)
        try:
            str(path).encode()
        except UnicodeEncodeError:
            self.fail(f"the name {str(path)!r} is no UTF-8: choose another one", param, ctx)
        for one in (path, *path.parents):
            if one.is_symlink() and not one.exists():
                self.fail(f"{str(one)!r} is a link to nothing: give another path", param, ctx)
        return path


class OutputFile(_OutputPath):
    """A file that is written."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Path = super().convert(value, param, ctx)
        if str(value).endswith(os.sep) or path.name in ("", ".."):
            self.fail(f"{str(value)!r} is a folder: give the path of a file", param, ctx)
        if len(os.fsencode(path.name)) > _LONGEST_NAME:
            self.fail(f"the name {path.name!r} is too long: give a shorter one", param, ctx)
        return path


class OutputFolder(_OutputPath):
    """A folder that is written into; whoever does decides whether it may be new."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Path = super().convert(value, param, ctx)
        for one in path.parents:
            if one.is_file():
                self.fail(f"{str(one)!r} is a file, not a folder: give another path", param, ctx)
        return path


def refuse_overwriting(context: click.Context) -> None:
    """Refuses one path for two outputs of a command, and an output that is one of its inputs.

    Raises:
        OutputError: so it is.
    """
    from latentmap.errors import OutputError

    read: list[tuple[str, Path]] = []
    written: list[tuple[str, Path]] = []
    for parameter in context.command.params:
        option = isinstance(parameter, click.Option)
        name = max(parameter.opts, key=len) if option else parameter.human_readable_name
        is_output = isinstance(parameter.type, OutputFile | OutputFolder)
        for path in _paths(parameter, context.params.get(parameter.name or "")):
            (written if is_output else read).append((name, path))
    pairs = [*itertools.product(read, written), *itertools.combinations(written, 2)]
    for (first, path), (second, other) in pairs:
        if _is_same(path, other):
            raise OutputError(f"{first} and {second} are both {other}: give each a path of its own")


def _paths(parameter: click.Parameter, value: Any) -> Iterator[Path]:
    """The paths that a value of a parameter names."""
    if not isinstance(parameter.type, _PathKind):
        return
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, Path):
            yield one
        elif one is not None:
            # A name is no path; a dataset in a file, or a number of images, stands after a colon.
            file, colon, _ = one.rpartition(":")
            yield from filter(Path.exists, map(Path, (one, file) if colon else (one,)))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # One of them is not there.
        return os.path.realpath(one) == os.path.realpath(other)


class ClusterAddress(Text):
    """``host:port`` of a Ray cluster, or ``auto``."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text: str = super().convert(value, param, ctx)
        found = re.fullmatch(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", text, re.ASCII)
        if text != "auto" and (found is None or not 0 < int(found[1]) < 65536):
            self.fail(
                f"{text!r} is no address of a Ray cluster: give HOST:PORT as `ray start --head` "
                "prints it, such as 10.0.0.1:6379, or auto",
                param,
                ctx,
            )
        return text
