"""The tree of commands, for tests of all of them."""

from collections.abc import Iterator

import click

from latentmap.cli.main import main


def _walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Every command below ``command``, by the words that call it."""
    if path:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _walk(child, (*path, name))


EVERY = dict(_walk(main))
