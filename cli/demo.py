"""latentmap demo: the main commands on the bundled models, one after the other."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from latentmap.cli.declaring import Command, number_option
from latentmap.cli.endings import as_part
from latentmap.cli.kinds import OutputFolder
from latentmap.cli.options import device_option, json_option, seed_option
from latentmap.cli.output import say, say_title

_MARK = ".latentmap-demo"
_MAPS = ("svae-to-stylegan.safetensors", "stylegan-to-svae.safetensors")  # That the steps fit.
# What each step shows, and its command; {out} is the demo's folder, {n} the number of images.
STEPS = (
    (
        "How do four models of faces relate?",
        "compare vae svae gan stylegan --samples {n} --sample-from stylegan --report {out}/report "
        "--force",
    ),
    (
        "The linear map from a Split-VAE to StyleGAN's W, fitted on images that StyleGAN makes: is "
        "it enough?",
        "fit --src svae --dst stylegan --samples {n} --ceiling "
        "--out {out}/svae-to-stylegan.safetensors --figure {out}/svae-to-stylegan.png "
        "--report {out}/report --force",
    ),
    (
        "And back",
        "fit --src stylegan --dst svae --samples {n} --ceiling "
        "--out {out}/stylegan-to-svae.safetensors --figure {out}/stylegan-to-svae.png "
        "--report {out}/report --force",
    ),
    (
        "Faces of a GAN, with the codes that they are made of",
        "sample gan -n {n} --out {out}/faces.h5 --force",
    ),
    (
        "A support set: few of them, far apart in the space of the Split-VAE",
        "support build svae --data {out}/faces.h5 -k 4 --members 16 --with-images "
        "--out {out}/support.h5 --force",
    ),
    (
        "What it looks like",
        "support show {out}/support.h5 --figures {out}/support --report {out}/report --force",
    ),
    (
        "Can StyleGAN make these? Its own images are the measure",
        "bench stylegan --set own:16 --set {out}/support.h5 --steps 80 --starts 1 "
        "--figures {out}/bench --report {out}/report --force",
    ),
)


@click.command(cls=Command)
@click.option(
    "--out",
    type=OutputFolder(),
    default=Path("latentmap-demo"),
    show_default=True,
    metavar="FOLDER",
    help="The demo's own folder.",
)
@number_option(
    "-n",
    "--samples",
    "samples",
    least=200,
    default=1000,
    help="How many images the models make for each step.",
)
@click.option(
    "--cache",
    type=OutputFolder(),
    metavar="FOLDER",
    help="The folder where codes are kept.  [default: cache, in the demo's folder]",
)
@seed_option
@device_option
@json_option
@click.pass_context
def demo(
    context: click.Context, /, out: Path, samples: int, cache: Path | None, as_json: bool, **_: Any
) -> None:
    """Show the main commands on the models that ship with latentmap.

    Takes less than two minutes on two cores and needs no data: the images are those that models
    make. Each command is shown before it runs, to be tried with other models and images.

    \b
    Example:
      latentmap demo --out latentmap-demo
    """
    from latentmap.cli.output import print_json

    _claim(out)
    shared = _given(context) | {"cache": str(cache or out / "cache")}
    results = []
    for title, template in STEPS:
        words = shlex.split(template.format(out=shlex.quote(str(out)), n=samples))
        words += _taken(context, words, shared)
        say_title(title, err=as_json)
        say(f"$ latentmap {shlex.join(words)}", "", err=as_json)
        if as_json:
            said = _result(context, [*words, "--json"])
            results.append({"command": f"latentmap {shlex.join(words)}", "result": said})
        else:
            _invoke(context, words)
    if as_json:
        print_json({"out": str(out), "steps": results})
    else:
        _say_what_is_next(out, shared["cache"])


def _given(context: click.Context) -> dict[str, str]:
    """What the user gave for all steps."""
    return {
        name: str(context.params[name])
        for name in ("seed", "device")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def _taken(context: click.Context, words: list[str], shared: dict[str, str]) -> list[str]:
    """The options of ``shared`` that the command has which ``words`` call."""
    command: click.Command | None = context.find_root().command
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(context, word)
    assert command is not None
    known = {parameter.name for parameter in command.params}
    return [part for name in shared if name in known for part in (f"--{name}", shared[name])]


def _invoke(context: click.Context, words: list[str]) -> None:
    group = context.find_root().command
    with group.make_context("latentmap", list(words)) as inner, as_part(inner):
        group.invoke(inner)


def _result(context: click.Context, words: list[str]) -> Any:
    """What a command prints as JSON."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        _invoke(context, words)
    return json.loads(said.getvalue())


def _say_what_is_next(out: Path, cache: str) -> None:
    from latentmap.mapping.stored_map import StoredMap

    fitted = {name: StoredMap.load(path) for name in _MAPS if (path := out / name).exists()}
    if fitted:
        say_title("Is a linear map enough?")
    for one in fitted.values():
        for sentence in one.record["verdicts"]:
            # As tables have it in a terminal.
            plain = sentence.replace("\N{MINUS SIGN}", "-")
            say(f"  {one.source.model} to {one.target.model}: {plain}")
    say_title("Look at")
    say(f"  {out / 'report' / 'index.html'}   everything above on one page")
    say(f"  {out / 'svae-to-stylegan.png'}   original, Split-VAE, StyleGAN")
    say(f"  {out / 'support' / 'images.png'}   the support set by sector")
    say(f"  {out / 'bench'}   images over their reproductions, worst first")
    _offer_explorer(out, cache)
    say_title("Try next")
    say("  latentmap models list")
    say("  latentmap train vae --data YOUR_IMAGES --split train --out mine.safetensors")
    say("  latentmap import YOUR_CHECKPOINT --out theirs.safetensors")
    say("  latentmap compare mine.safetensors theirs.safetensors --data YOUR_IMAGES")


def _offer_explorer(out: Path, cache: str) -> None:
    """The line that opens the page over what was made here; it is not opened by itself."""
    linear_map, faces = out / _MAPS[0], out / "faces.h5"
    if not (linear_map.exists() and faces.exists()):
        return
    there = all(find_spec(name) for name in ("starlette", "uvicorn"))
    say_title("Move codes yourself, on a page in the browser")
    if not there:
        say('  pip install "latentmap[explore]"')
    words = ["explore", "svae", "stylegan", "--data", faces, "--map", linear_map, "--cache", cache]
    say(f"  latentmap {shlex.join(map(str, words))}")


def _claim(out: Path) -> None:
    """Makes the folder, or knows it again; nothing of anybody else's is ever written over."""
    from latentmap.errors import OutputError
    from latentmap.files import write_atomic

    try:
        out.mkdir(parents=True, exist_ok=True)
        claimed = (out / _MARK).is_file() or not any(out.iterdir())
        links = [path for path in out.iterdir() if path.is_symlink()]
    except OSError as error:
        raise OutputError(
            f"{out} cannot be the demo's folder ({error.strerror}): choose another --out"
        ) from None
    if not claimed:
        raise OutputError(f"{out} holds something else than a demo: choose another --out")
    if links:
        raise OutputError(f"{links[0]} is a link, which no demo makes: choose another --out")
    write_atomic(out / _MARK, b"")
