"""How commands and options are declared: in help they stand in groups, under titles.

The options of ``latentmap.cli.options`` carry their titles. An option of one command alone is under
``METHOD``, what the command is about, unless it is made by ``option`` with another title::

    @click.command(cls=Command)
    @data_options
    @click.option("--penalty", help="Of ridge.")
    @option("--codes-out", title=OUTPUT, help="The codes.")

Commands in a ``Group`` are of this class without saying so. ``output_option`` is for files that a
command writes, ``together`` for options that a command gets as one object.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

from latentmap.cli.kinds import MOST, Count, OutputFile, refuse_overwriting

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

IMAGES, METHOD, OUTPUT, RUNNING = "Images", "Method", "Output", "Running"
WORKERS = "Workers"
_FEW = 12  # So many options are one list.


class Option(click.Option):
    """An option that says under which title its help stands."""

    def __init__(self, *words: Any, title: str = METHOD, **attributes: Any) -> None:
        super().__init__(*words, **attributes)
        self.title = title


option = functools.partial(click.option, cls=Option)


def number_option(
    *words: str,
    help: str,
    least: int = 1,
    most: int = MOST,
    default: int | None = None,
    metavar: str = "N",
    title: str = METHOD,
    required: bool = False,
) -> Callable[[Decorated], Decorated]:
    """The option of a whole number from ``least`` to ``most``; a default is shown."""
    return option(
        *words,
        title=title,
        type=Count(least, most),
        default=default,
        show_default=default is not None,
        metavar=metavar,
        required=required,
        help=help,
    )


def output_option(
    name: str, help: str, *, metavar: str = "FILE", required: bool = False
) -> Callable[[Decorated], Decorated]:
    """The option of a file that a command writes: ``--out`` for what the command is for,
    ``--figure`` for a picture, ``--codes-out`` for codes.
    """
    kind = OutputFile()
    return option(name, title=OUTPUT, required=required, type=kind, metavar=metavar, help=help)


def together(
    name: str, kind: type[Any], *options: Callable[[Decorated], Decorated]
) -> Callable[[Decorated], Decorated]:
    """Adds options that a command gets as one: as ``name``, the dataclass ``kind``, whose fields
    are called as they are.
    """

    def decorate(command: Decorated) -> Decorated:
        @functools.wraps(command)
        def wrapped(*args: Any, **given: Any) -> Any:
            values = {field.name: given.pop(field.name) for field in fields(kind)}
            return command(*args, **{name: kind(**values)}, **given)

        decorated: Any = wrapped
        for add in reversed(options):
            decorated = add(decorated)
        return decorated  # type: ignore[no-any-return]  # click's decorators keep the callable's type, untyped here

    return decorate


class Command(click.Command):
    """A command whose help shows more than a dozen options under titles, which writes over nothing
    that it reads, and which ends with the next one.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = tuple(args)  # As they were typed.
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            refuse_overwriting(ctx)
        return rest

    def invoke(self, ctx: click.Context) -> object:
        from latentmap.cli.endings import tell_next

        result = super().invoke(ctx)
        tell_next(ctx, ctx.obj)
        return result

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[str, list[tuple[str, str]]] = {
            title: [] for title in (IMAGES, METHOD, OUTPUT, RUNNING, WORKERS)
        }
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # Some versions of click list arguments too, which stand in the usage line.
            if record is not None and isinstance(parameter, click.Option):
                # What click itself adds is --help.
                title = METHOD if {*parameter.opts}.isdisjoint(ctx.help_option_names) else RUNNING
                rows[getattr(parameter, "title", title)].append(record)
        if sum(map(len, rows.values())) <= _FEW:
            super().format_options(ctx, formatter)
            return
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Group(click.Group):
    """A group of such commands, and of such groups."""

    command_class = Command
    group_class = type
