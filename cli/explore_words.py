"""The command line of the explorer as its page shows it: what is explored, and no folder of the
disk.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from latentmap.cli.declaring import OUTPUT

_LEFT_OUT = ("state", "host", "port", "browser", "cache")


def words_without_folders(context: click.Context) -> str:
    """The command with the options that say what is explored, to which a page adds others.

    Of paths that do not begin here the name of the file alone is told, since whoever has the link
    may see it.
    """
    values, _, _ = context.command.make_parser(context).parse_args(list(context.obj))
    words = ["latentmap", "explore", *map(_named, context.params["references"])]
    for parameter in context.command.params:
        if parameter.name not in values or parameter.name in _LEFT_OUT:
            continue
        if parameter.name == "attributes" and "where" not in values:
            continue  # It colours the points of the page alone.
        if not isinstance(parameter, click.Option) or getattr(parameter, "title", "") == OUTPUT:
            continue
        name, value = max(parameter.opts, key=len), values[parameter.name]
        for one in value if parameter.multiple else [value]:
            words += [name, _named(str(one))]
    return shlex.join(words)


def _named(word: str) -> str:
    """A word, or the name alone of a file that it says by a folder elsewhere.

    >>> _named("data/faces.zip"), _named("/home/me/faces.h5:/images"), _named("hub:a/b")
    ('data/faces.zip', 'faces.h5:/images', 'hub:a/b')
    """
    path, colon, inside = word.partition(":/")
    elsewhere = path.startswith(("/", "~")) or ".." in Path(path).parts
    return f"{Path(path).name}{colon}{inside}" if elsewhere else word
