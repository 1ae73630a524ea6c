"""latentmap cache rm: entries of a cache, plans of workers, or images that it keeps, removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import Command
from latentmap.cli.kinds import Text
from latentmap.cli.options import cache_option, json_option
from latentmap.cli.output import say
from latentmap.errors import CacheError
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
    "--plan",
    type=Text(),
    metavar="PLAN",
    help="A plan that workers work on, by the beginning of its id, and what they have made of it "
    "since the last commit.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="All entries, the plans and sums that workers work on, and measured orders.",
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
    plan: str | None,
    everything: bool,
    generated: bool,
    yes: bool,
    cache: Path,
    as_json: bool,
) -> None:
    """Remove entries of a cache, and say how much that frees.

    What is committed of a plan stays when the plan is removed, and serves all commands.

    \b
    Examples:
      latentmap cache rm 3f2a --cache codes
      latentmap cache rm --plan 91c0 --cache codes
      latentmap cache rm --generated --cache codes
    """
    from latentmap.cache import Entries
    from latentmap.cache.plan_folder import remove_plan, size_of_plan
    from latentmap.cache.sums import remove_sums
    from latentmap.cli.output import print_json, warn
    from latentmap.model.kept_images import GENERATED, kept_in, remove_kept

    named = bool(names or model or everything)
    if not (named or plan is not None or generated):
        raise click.UsageError(
            "say what to remove: ENTRY, --model NAME, --plan PLAN, --all or --generated"
        )
    if everything and (names or model or plan is not None):
        raise click.UsageError("--all is all entries: name none beside it")
    entries = Entries(cache)
    entries.require()
    # All that is named is looked for before anything goes.
    doomed = list(entries.all()) if everything else _choose(entries, names, model)
    plans = _plans(cache, plan, everything)
    freed = sum(size_of_plan(cache, one) for one in plans)
    images = cache / GENERATED
    if generated and not yes:
        size = kept_in(images).bytes / 2**20
        _confirm(f"Remove {size:.1f} MiB of generated images of {cache}?")
    if plan is not None and not yes:
        _confirm(f"Remove plan {plans[0]} ({bytes_text(freed)}) of {cache}?")
    if named and not yes:
        for entry in doomed:
            warn(str(entry))
        _confirm(f"Remove {number_text(doomed)} ({size_text(doomed)}) of {cache}?")
    gone = remove_kept(images) if generated else None
    left = list(gone.others) if gone else []
    # First, so that no worker's shard becomes an entry again.
    for one in plans:
        remove_plan(cache, one)
    if everything:
        remove_sums(cache)
    for entry in doomed:
        left += entries.remove(entry)
    for path in left:
        warn(f"{path} is not of latentmap, and stays")
    if as_json:
        removed = [entry.id for entry in doomed]
        total = freed + (gone.bytes if gone else 0) + sum(entry.size for entry in doomed)
        print_json({"cache": str(cache), "entries": removed, "plans": plans, "bytes": total})
        return
    if gone:
        say(f"{cache}: removed the generated images, which frees {gone.bytes / 2**20:.1f} MiB")
    if plan is not None:
        say(f"{cache}: removed plan {plans[0]}, which frees {bytes_text(freed)}")
    if named:
        say(f"{cache}: removed {number_text(doomed)}, which frees {size_text(doomed)}")


def _confirm(question: str) -> None:
    click.confirm(printable(question), abort=True, err=True)


def _choose(entries: Entries, names: tuple[str, ...], model: str | None) -> list[Entry]:
    chosen = [entries.named(name) for name in names] + (entries.of_model(model) if model else [])
    return list({entry.id: entry for entry in chosen}.values())


def _plans(cache: Path, prefix: str | None, everything: bool) -> list[str]:
    """The plans that are asked for, also those that cannot be read.

    Raises:
        CacheError: none begins with ``prefix``, or several do.
    """
    from latentmap.cache.plan_folder import plan_names

    names = plan_names(cache)
    if everything or prefix is None:
        return names if everything else []
    chosen = [name for name in names if name.startswith(prefix)]
    if len(chosen) != 1:
        many = "several plans begin" if chosen else "no plan begins"
        raise CacheError(
            f"{many} with {prefix!r} in {cache}: those there are {', '.join(names) or 'none'}"
        )
    return chosen


def size_text(entries: Iterable[Entry]) -> str:
    """The size of entries."""
    return bytes_text(sum(entry.size for entry in entries))


def bytes_text(size: int) -> str:
    """A number of bytes."""
    kibibytes = size / 1024
    return f"{kibibytes:.0f} KiB" if kibibytes < 1024 else f"{kibibytes / 1024:.1f} MiB"


def number_text(entries: Sequence[Entry]) -> str:
    """How many entries."""
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
