"""latentmap cache rm: entries of a cache, or images that it keeps, removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import Command
from latentmap.cli.kinds import Text
from latentmap.cli.options import cache_option, json_option
from latentmap.cli.output import say
from latentmap.printing import printable

if TYPE_CHECKING:
    from latentmap.cache import Entries, Entry


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[ENTRY]...", type=Text())
@click.option(
    "--model",
    type=Text(),
    metavar="NAME",
    help="All entries of a model: its name, or the beginning of its digest.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="All entries, and the plans and sums that workers work on.",
)
@click.option(
    "--generated",
    is_flag=True,
    help="The images of `latentmap fit --samples`, which can be made again.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@cache_option
@json_option
def rm(
    names: tuple[str, ...],
    model: str | None,
    everything: bool,
    generated: bool,
    yes: bool,
    cache: Path,
    as_json: bool,
) -> None:
    """Remove entries of a cache, and say how much that frees.

    \b
    Examples:
      latentmap cache rm 3f2a --cache codes
      latentmap cache rm --generated --cache codes
    """
    from latentmap.cache import Entries
    from latentmap.cache.plan_folder import remove_plans
    from latentmap.cache.sums import remove_sums
    from latentmap.cli.output import print_json, warn
    from latentmap.model.kept_images import GENERATED, kept_in, remove_kept

    named = bool(names or model or everything)
    if not (named or generated):
        raise click.UsageError("say what to remove: ENTRY, --model NAME, --all or --generated")
    if everything and (names or model):
        raise click.UsageError("--all is all entries: name none beside it")
    entries = Entries(cache)
    entries.require()
    # All that is named is looked for before anything goes.
    doomed = list(entries.all()) if everything else _choose(entries, names, model)
    images = cache / GENERATED
    if generated and not yes:
        size = kept_in(images).bytes / 2**20
        _confirm(f"Remove {size:.1f} MiB of generated images of {cache}?")
    if named and not yes:
        for entry in doomed:
            warn(str(entry))
        _confirm(f"Remove {number_text(doomed)} ({size_text(doomed)}) of {cache}?")
    gone = remove_kept(images) if generated else None
    freed = gone.bytes if gone else 0
    left = list(gone.others) if gone else []
    if everything:
        # First, so that no worker's shard becomes an entry again.
        remove_plans(cache)
        remove_sums(cache)
    for entry in doomed:
        left += entries.remove(entry)
    for path in left:
        warn(f"{path} is not of latentmap, and stays")
    if as_json:
        removed = [entry.id for entry in doomed]
        total = freed + sum(entry.size for entry in doomed)
        print_json({"cache": str(cache), "entries": removed, "bytes": total})
        return
    if generated:
        say(f"{cache}: removed the generated images, which frees {freed / 2**20:.1f} MiB")
    if named:
        say(f"{cache}: removed {number_text(doomed)}, which frees {size_text(doomed)}")


def _confirm(question: str) -> None:
    click.confirm(printable(question), abort=True, err=True)


def _choose(entries: Entries, names: tuple[str, ...], model: str | None) -> list[Entry]:
    chosen = [entries.named(name) for name in names] + (entries.of_model(model) if model else [])
    return list({entry.id: entry for entry in chosen}.values())


def size_text(entries: Iterable[Entry]) -> str:
    """The size of entries."""
    kibibytes = sum(entry.size for entry in entries) / 1024
    return f"{kibibytes:.0f} KiB" if kibibytes < 1024 else f"{kibibytes / 1024:.1f} MiB"


def number_text(entries: Sequence[Entry]) -> str:
    """How many entries."""
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
