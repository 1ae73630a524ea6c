"""latentmap cache: what is in a cache of codes, whether it is right, and out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.cache_commit import commit
from latentmap.cli.cache_export import export
from latentmap.cli.cache_rm import number_text, rm, size_text
from latentmap.cli.declaring import IMAGES, Group, option
from latentmap.cli.kinds import Reference, Text
from latentmap.cli.options import cache_option, json_option
from latentmap.cli.output import say, show_result

if TYPE_CHECKING:
    from latentmap.cache import Entry
    from latentmap.report import Cell


@click.group(cls=Group)
def cache() -> None:
    """List, show, verify, commit, remove or export cached codes.

    --cache is the folder that codes were kept in; without it, the one of LATENTMAP_CACHE, else
    your own for all that you do, latentmap in ~/.cache ($XDG_CACHE_HOME; on a Mac
    ~/Library/Caches). An entry is called by its id, of which the beginning is enough.

    \b
    Example:
      latentmap cache list --cache codes
    """


cache.add_command(commit)
cache.add_command(export)
cache.add_command(rm)


@cache.command("list")
@cache_option
@json_option
def list_entries(cache: Path, as_json: bool) -> None:
    """List the entries of a cache: one for each model, data, view and precision.

    Those that are damaged are listed with the others, and named on stderr with what is wrong; the
    exit code is 0. Only `cache verify` reads every byte.

    \b
    Example:
      latentmap cache list --cache codes
    """
    from latentmap.cache import Entries
    from latentmap.cache.plan_folder import find_plans
    from latentmap.cli.output import print_json
    from latentmap.files.home import cache_home
    from latentmap.model.kept_images import GENERATED, kept_in
    from latentmap.report import Table, as_text

    # Before anything is kept there is no home, which is no mistake.
    entries = () if cache == cache_home() and not cache.exists() else Entries(cache).all()
    generated = kept_in(cache / GENERATED).bytes
    plans = find_plans(cache)
    if as_json:
        described = [entry.to_json() for entry in entries]
        planned = [
            {"plan": plan.id, "data": plan.data, "images": plan.images, "shards": len(plan)}
            for plan in plans
        ]
        print_json(
            {
                "cache": str(cache),
                "entries": described,
                "plans": planned,
                "generated_bytes": generated,
            }
        )
        return
    titles = ("entry", "model", "space", "dim", "precision", "images", "skipped", "size", "state")
    if entries:
        show_result(as_text([Table.listed("Entries", titles, list(map(_cells, entries)))]))
    else:
        say(f"{cache} is empty")
    if generated:
        say(f"beside them {generated / 2**20:.1f} MiB of images of `fit --samples`")
    for plan in plans:
        say(
            f"plan {plan.id} is worked on: {plan.images} images of {plan.data} in {len(plan)} "
            "shards; `latentmap cache commit` takes in what is made, `latentmap cache rm --plan "
            f"{plan.id[:4]}` gives it up"
        )
    for entry in entries:
        _warn_of(entry)


@cache.command()
@click.argument("entry", metavar="ENTRY", type=Text())
@cache_option
@json_option
def show(entry: str, cache: Path, as_json: bool) -> None:
    """Describe an entry of a cache: what its codes were made from, and how far it is.

    \b
    Example:
      latentmap cache show 3f2a --cache codes
    """
    from latentmap.cache import Entries
    from latentmap.cli.output import print_json

    found = Entries(cache).named(entry)
    described = found.to_json()
    if as_json:
        print_json(described)
        return
    for key, value in described.items():
        say(f"{key:<10} {value if isinstance(value, str) else json.dumps(value)}")
    _warn_of(found)


@cache.command()
@cache_option
@option(
    "--data",
    type=Reference(),
    title=IMAGES,
    metavar="PATH",
    help="Read these images again, too, which the cache knows by the looks of their files: path, "
    "size, times and inode.",
)
@json_option
@click.pass_context
def verify(context: click.Context, cache: Path, data: str | None, as_json: bool) -> None:
    """Read every byte of a cache and compare it with what was written.

    Names every file that is not right, and then exits with 1.

    \b
    Examples:
      latentmap cache verify --cache codes
      latentmap cache verify --cache codes --data faces
    """
    from latentmap.cache import Entries
    from latentmap.cli.output import print_json
    from latentmap.cli.progress import progress_bar

    entries = Entries(cache)
    with progress_bar("verifying", unit="bytes") as progress:
        problems = entries.verify(progress)
    checked, changed = (0, []) if data is None else _recheck(cache, data)
    problems += changed
    if as_json:
        print_json({"cache": str(cache), "images_checked": checked, "problems": problems})
    elif problems:
        say(*problems)
    else:
        right = entries.all()
        say(f"{cache}: all {size_text(right)} in {number_text(right)} are right")
        if data is not None:
            say(f"{data}: all {checked} images that the cache knows by their files are right")
    if problems:
        context.exit(1)


def _recheck(cache: Path, data: str) -> tuple[int, list[str]]:
    """How many images the cache knows by their files, and a line for each that is another."""
    from latentmap.cache import LatentCache
    from latentmap.cli.output import warn
    from latentmap.cli.progress import progress_bar
    from latentmap.images import open_images

    images = open_images(data, notify=warn)
    with progress_bar("reading images") as progress:
        checked, changed = images.recheck(LatentCache(cache).contents, progress)
    return checked, [
        f"image {name!r} of {images.path} is another than when it was read for {cache}, though its "
        "file looks the same; it is known as it is from now on: run again what was made of it"
        for name in changed
    ]


def _warn_of(entry: Entry) -> None:
    """Tells of damage, repaired or not."""
    from latentmap.cli.output import warn

    for repair in entry.manifest.repairs if entry.manifest else ():
        warn(f"entry {entry.id} was damaged and repaired: {repair}")
    if entry.problem:
        warn(entry.problem)


def _cells(entry: Entry) -> list[Cell]:
    size, state = size_text([entry]), entry.state
    if entry.manifest is None:
        return [entry.id, "", "", "", "", "", "", size, state]
    manifest = entry.manifest
    images = f"{manifest.done}/{manifest.images}"
    space, precision = manifest.space, manifest.key.precision
    skipped = len(manifest.skipped)
    return [entry.id, space.model, space.kind, space.dim, precision, images, skipped, size, state]
