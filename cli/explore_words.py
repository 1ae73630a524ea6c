"""The command line of the explorer as its page shows it: what is explored, and no folder of the
disk.
"""

from __future__ import annotations

import re
import shlex

import click

from latentmap.cli.declaring import OUTPUT

# An image of one's own stands in the commands that show it.
_LEFT_OUT = ("state", "image_paths", "host", "port", "browser", "cache")
# What stands between files that lie elsewhere, on machines of any kind.
_BETWEEN = re.compile(r"([,{=])(?=[/\\~]|\.\.[/\\]|[\w+-]+:[/\\~])")
# Schemes, the path, and the place inside of a file. One letter before a colon is a drive.
_FILE = re.compile(r"((?:[A-Za-z][\w+-]+:)*)((?:[A-Za-z]:(?=[/\\]))?.*?)(:/.*)?", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


def words_without_folders(context: click.Context, view: str = "") -> str:
    """The command with the options that say what is explored in a view, to which a page adds
    others.

    Of paths that do not begin here the name of the file alone is told, since whoever has the link
    may see it.
    """
    values, _, _ = context.command.make_parser(context).parse_args(list(context.obj))
    of_trainings = view == "traces"
    references = () if of_trainings else context.params["references"]
    words = ["latentmap", "explore", *map(without_folders, references)]
    for parameter in context.command.params:
        if parameter.name not in values or parameter.name in _LEFT_OUT:
            continue
        if (parameter.name == "trace_paths") != of_trainings:
            continue  # No other view takes one, and this one nothing else.
        if parameter.name == "attributes" and "where" not in values and view != "points":
            continue  # It colours points alone.
        if not isinstance(parameter, click.Option) or getattr(parameter, "title", "") == OUTPUT:
            continue
        name, value = max(parameter.opts, key=len), values[parameter.name]
        for one in value if parameter.multiple else [value]:
            words += [name, without_folders(str(one))]
    return shlex.join(words)


def without_folders(word: str) -> str:
    r"""A word, or the names alone of files that it says by folders elsewhere.

    >>> list(map(without_folders, ["data/faces.zip", "/home/me/faces.h5:/images", "hub:a/b"]))
    ['data/faces.zip', 'faces.h5:/images', 'hub:a/b']
    >>> without_folders("onnx:/home/me/enc.onnx,/home/me/dec.onnx?mean=/home/me/m&size=64x64")
    'onnx:enc.onnx,dec.onnx?mean=m&size=64x64'
    >>> list(map(without_folders, ["diffusers:~/sd", "file:///home/me/a", r"C:\Users\me\f.zip"]))
    ['diffusers:sd', 'file:a', 'f.zip']
    """
    name, *options = re.split(r"\?(?=\w+=)", word, maxsplit=1)
    known = [_files_named(name)]
    for text in options:
        known += ["?", *map(_files_named, re.split("([&=])", text))]
    return "".join(known)


def _files_named(text: str) -> str:
    """Files one after the other, each by its name where it lies elsewhere."""
    return "".join(map(_file_named, _BETWEEN.split(text)))


def _file_named(text: str) -> str:
    found = _FILE.fullmatch(text)
    assert found is not None, "it takes any text"
    scheme, path, inside = found.groups(default="")
    folders = re.split(r"[/\\]", path.rstrip("/\\"))
    elsewhere = path.startswith(("/", "\\", "~")) or ".." in folders or _DRIVE.match(path)
    return f"{scheme}{folders[-1]}{inside}" if elsewhere else text
