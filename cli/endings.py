"""What comes after each command: one line on stderr with the next one, as it can be typed. Before
it are the pictures that were made, where the command itself does not say them.

What the user gave of the images and the cache is carried over to it, where the next command has the
same option. Scripts (``--json``) are told nothing, nor is who runs commands one after the other.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import click

from latentmap.cli.declaring import IMAGES, OUTPUT
from latentmap.cli.output import say
from latentmap.cli.outputs import file_name

_PART = "latentmap.part"
# What is carried beside the options that choose images.
_CARRIED = ("--cache", "--device")

Given = Mapping[str, Any]


@dataclass(frozen=True)
class Next:
    """The ``words`` of the next command, and why it comes. ``whole`` carries all options over but
    those of outputs, since it is about the same thing, and but the options ``without``.
    """

    words: Sequence[object]
    why: str = "next"
    whole: bool = False
    without: Sequence[str] = ()


@contextmanager
def as_part(context: click.Context) -> Iterator[None]:
    """Within it a command is a step of another one, and nothing is said of what comes next."""
    outer = context.meta.get(_PART, False)
    context.meta[_PART] = True
    try:
        yield
    finally:
        context.meta[_PART] = outer


def tell_next(context: click.Context, words: Sequence[str]) -> None:
    """Says what comes after the command of ``context``, which has ended: it was called with
    ``words``.
    """
    command = " ".join(_path(context))
    ending = ENDINGS.get(command)
    if ending is None or context.params.get("as_json") or context.meta.get(_PART):
        return
    for name in _PICTURES.get(command, ()):
        if context.params[name] is not None:
            say(f"wrote {context.params[name]}", err=True)
    step = ending(context.params)
    if step is not None:
        typed = [*map(str, step.words), *_carried(context, words, step)]
        say(f"{step.why}: latentmap {shlex.join(typed)}", err=True)


def _path(context: click.Context) -> list[str]:
    """The words that call a command, without that of the program."""
    if context.parent is None:
        return []
    return [*_path(context.parent), context.info_name or ""]


def _carried(context: click.Context, words: Sequence[str], step: Next) -> Iterator[str]:
    """The options of a command line that the next command shares, as they were typed."""
    command: click.Command = context.find_root().command
    for word in step.words:
        child = (
            command.get_command(context, str(word)) if isinstance(command, click.Group) else None
        )
        command = child or command
    known = {parameter.name: getattr(parameter, "help", "") for parameter in command.params}
    values, _, _ = context.command.make_parser(context).parse_args(list(words))
    for parameter in context.command.params:
        name = max(parameter.opts, key=len)
        shared = known.get(parameter.name) == getattr(parameter, "help", None)
        wanted = step.whole or name in _CARRIED or _title(parameter) == IMAGES
        if parameter.name not in values or not shared or not wanted:
            continue
        if name in step.words or name in step.without:
            continue
        if _title(parameter) != OUTPUT and isinstance(parameter, click.Option):
            yield from _typed(parameter, name, values[parameter.name])


def _typed(parameter: click.Option, name: str, value: Any) -> Iterator[str]:
    if parameter.is_flag:
        yield name if value else parameter.secondary_opts[0]
        return
    for one in value if parameter.multiple else [value]:
        yield from (name, str(one))


def _title(parameter: click.Parameter) -> str:
    return str(getattr(parameter, "title", ""))


def _free(path: Path | str) -> str:
    """The path of a file or folder, numbered where there is one already."""
    path = Path(path)
    names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return str(path if not path.exists() else next(one for one in names if not one.exists()))


def _named(reference: object, more: str) -> str:
    """A new file in the current folder, named after a model or a map."""
    return _free(file_name(Path(str(reference)).stem) + more)


def _map_named(source: object, target: object) -> str:
    """A new file for the map from one model to another."""
    names = (file_name(Path(str(one)).stem) for one in (source, target))
    return _free(f"{'-to-'.join(names)}.safetensors")


def _picture(given: Given) -> str:
    return _free(given["out"].with_suffix(".png"))


def _has_images(given: Given) -> bool:
    return given["path"] is not None or given["n_samples"] is not None


def _after_vae(given: Given) -> Next:
    if given["trace"] is not None:
        return Next(["trace", "show", given["trace"], "--figure", _free("trace.png")])
    # Of a split, the images that the model has not seen.
    split = ["--split", "val"] if given["split"] == "train" else []
    return Next(["diagnose", given["out"], *split])


def _after_inversion(given: Given) -> Next:
    if given["path"] is None:
        return Next(["models", "check", given["out"]])
    figure = ["--method", "network", "--limit", 16, "--figure", _picture(given)]
    return Next(["invert", given["out"], *figure])


def _after_import(given: Given) -> Next:
    if given["inspect"]:
        return Next(["import", given["file"], "--out", _named(given["file"], ".safetensors")])
    return Next(["models", "check", given["out"]])


def _after_encode(given: Given) -> Next:
    if given["place"] is not None:
        return Next(["cache", "commit"])
    if given["plan"]:
        words = ["encode", *given["models"], "--shard", "auto"]
        return Next(words, "each worker", whole=True, without=["--plan"])
    return _listed(given)


def _after_sample(given: Given) -> Next:
    if given["out"] is not None:
        return Next(["images", "show", "--data", given["out"]])
    out = _named(given["reference"], "-samples.h5")
    return Next(["sample", given["reference"], "--out", out], whole=True)


def _after_frames(given: Given) -> Next:
    pair = ["--src", given["maker"], "--dst", given["other"]]
    if not given["write"]:
        return Next(["frames", "estimate", *pair, "--write"], whole=True)
    out = _map_named(given["maker"], given["other"])
    return Next(["fit", *pair, "--samples", 5000, "--out", out])


def _after_fit(given: Given) -> Next:
    if given["out"] is None:
        why = "no map is kept; this keeps it"
        out = _map_named(given["src"], given["dst"])
        return Next(["fit", "--out", out], why, whole=True)
    if given["path"] is not None:
        return Next(["apply", given["out"], "--figure", _picture(given)])
    return Next(["map", "show", given["out"]])


def _after_fits(given: Given) -> Next:
    return Next(["fit", "--out", _map_named(given["src"], given["dst"])], whole=True)


def _after_evaluate(given: Given) -> Next:
    if _has_images(given):
        figure = _named(given["map_path"], ".png")
        return Next(["apply", given["map_path"], "--figure", figure])
    return Next(["map", "show", given["map_path"]])


def _after_apply(given: Given) -> Next:
    one = given["map_path"]
    return Next(["evaluate", one] if _has_images(given) else ["map", "show", one])


def _after_map(given: Given) -> Next:
    one = given["map_path"]
    return Next(["map", "inverse", one, "--out", _named(one, "-back.safetensors")])


def _after_compare(given: Given) -> Next:
    """How many images find the map between the first two."""
    source, target, *_ = given["references"]
    return Next(["map", "curve", "--src", source, "--dst", target])


def _after_explore(given: Given) -> Next:
    """What was seen, in numbers."""
    models = given["references"]
    if not models:
        return Next(["trace", "show", given["trace_paths"][0]])
    if len(models) == 1:
        images = [] if _has_images(given) else ["--data", "IMAGES"]
        return Next(["support", "order", *models, *images])
    return Next(["compare", *models, *([] if _has_images(given) else ["--samples", 2000])])


def _after_diagnose(given: Given) -> Next:
    """What the variables do, in pictures."""
    model = given["references"][0]
    return Next(["support", "order", model, "--figures", _named(model, "-order")])


def _after_bench(given: Given) -> Next | None:
    """The same again, on a page, where it is on none; its codes are kept."""
    if given["report"] is not None:
        return None
    return Next(["bench", *given["references"], "--report", "report"], whole=True)


def _after_trace(given: Given) -> Next | None:
    if given["figure"] is not None:
        return None
    figure = _named(given["path"], ".png")
    return Next(["trace", "show", given["path"], "--figure", figure], whole=True)


def _listed(given: Given) -> Next:
    return Next(["cache", "list"])


_PICTURES = {
    "diagnose": ("figure", "scatter", "plane"),
    "map curve": ("figure",),
    "models prune": ("figure",),
    "support compare": ("figure",),
    "trace show": ("figure", "paths", "animate", "staircase"),
}

# By the words of each command; None where nothing is left to be done.
ENDINGS: dict[str, Callable[[Given], Next | None]] = {
    "images pack": lambda given: Next(["images", "show", "--data", given["out"]]),
    "images index": lambda given: Next(["images", "show", "--data", given["out"]]),
    "images show": lambda given: Next(
        ["train", "vae", "--size", 64, "--split", "train", "--out", _free("vae.safetensors")]
    ),
    "images sprites": lambda given: Next(["images", "show", "--data", given["out"]]),
    "train deteriorate": lambda given: Next(["trace", "show", given["trace"]]),
    "train gan": lambda given: Next(["sample", given["out"], "--figure", _picture(given)]),
    "train inversion": _after_inversion,
    "train recipe": lambda given: Next(["models", "show", given["out"]]),
    "train split-vae": _after_vae,
    "train stylegan2": lambda given: Next(["sample", given["out"], "--figure", _picture(given)]),
    "train vae": _after_vae,
    "import": _after_import,
    "models list": lambda given: Next(["models", "show", "svae"]),
    "models show": lambda given: Next(["models", "check", given["model"]]),
    "models check": lambda given: Next(["models", "show", given["model"]]),
    "models normalise": lambda given: Next(["diagnose", given["out"]]),
    "models prior": lambda given: Next(["sample", given["out"], "--figure", _picture(given)]),
    "models prune": lambda given: Next(["diagnose", given["out"]]),
    "sample": _after_sample,
    "encode": _after_encode,
    "cache list": lambda given: Next(["cache", "verify"]),
    "cache show": lambda given: Next(
        ["cache", "export", given["entry"], "--out", _free(f"{given['entry']}.npz")]
    ),
    "cache commit": _listed,
    "cache verify": _listed,
    "cache export": _listed,
    "cache rm": _listed,
    "frames estimate": _after_frames,
    "fit": _after_fit,
    "evaluate": _after_evaluate,
    "apply": _after_apply,
    "map show": lambda given: Next(
        [
            "map",
            "inverse",
            given["map_path"],
            "--out",
            _named(given["map_path"], "-back.safetensors"),
        ]
    ),
    "map compose": lambda given: Next(["map", "show", given["out"]]),
    "map inverse": lambda given: Next(["map", "show", given["out"]]),
    "map export": lambda given: Next(["map", "show", given["map_path"]]),
    "map factors": lambda given: Next(["map", "show", given["map_path"]]),
    "map methods": _after_fits,
    "map curve": _after_fits,
    "compare": _after_compare,
    "invert": lambda given: Next(["bench", given["reference"], "--set", "own:64"]),
    "support order": lambda given: Next(
        ["support", "build", given["model"], "--out", _free("support.h5")]
    ),
    "support build": lambda given: Next(
        ["support", "show", given["out"], "--figures", _free(given["out"].with_suffix(""))]
    ),
    "support show": lambda given: Next(
        ["bench", "stylegan", "--set", given["file"], "--set", "own:16"]
    ),
    "support compare": _after_fits,
    "explore": _after_explore,
    "bench": _after_bench,
    "diagnose": _after_diagnose,
    "trace show": _after_trace,
}
