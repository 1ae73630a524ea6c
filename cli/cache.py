"""latentmap cache: what is in a cache of codes, whether it is right, and out of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.options import force_option, json_option

if TYPE_CHECKING:
    from latentmap.cache import LatentCache
    from latentmap.cache.latent_cache import Entry

_cache_argument = click.argument(
    "path",
    type=click.Path(path_type=Path),
    default=Path("latentmap-cache"),
    envvar="LATENTMAP_CACHE",
    metavar="[CACHE]",
)


@click.group()
def cache() -> None:
    """List, verify, remove or export cached codes.

    CACHE is the folder that `latentmap encode` wrote to; without it, latentmap-cache here.

    \b
    Example:
      latentmap cache ls codes
    """


@cache.command()
@_cache_argument
@json_option
def ls(path: Path, as_json: bool) -> None:
    """List the entries of a cache: one for each model, data, view and precision.

    \b
    Example:
      latentmap cache ls codes
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.output import print_json, table
    from latentmap.model.generated import kept_bytes

    entries = LatentCache(path).entries()
    generated = kept_bytes(path / "generated")
    if as_json:
        described = [_describe(entry) for entry in entries]
        print_json({"cache": str(path), "entries": described, "generated_bytes": generated})
        return
    header = ("entry", "model", "space", "dim", "precision", "images", "skipped", "size", "state")
    if entries:
        click.echo(table(header, [_row(entry) for entry in entries]))
    else:
        click.echo(f"{path} is empty")
    if generated:
        click.echo(f"beside them {generated / 2**20:.1f} MiB of images of `fit --samples`")
    for entry in entries:
        for repair in entry.manifest.repairs if entry.manifest else ():
            click.echo(f"entry {entry.id} was damaged and repaired: {repair}", err=True)
        if entry.problem:
            click.echo(entry.problem, err=True)


@cache.command()
@_cache_argument
@json_option
@click.pass_context
def verify(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Read every byte of a cache and compare it with what was written.

    Names every file that is not right, and then exits with 1.

    \b
    Example:
      latentmap cache verify codes
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.output import print_json
    from latentmap.cli.progress import progress_bar

    codes = LatentCache(path)
    with progress_bar("verifying", unit="bytes") as progress:
        problems = codes.verify(progress)
    if as_json:
        print_json({"cache": str(path), "problems": problems})
    elif problems:
        click.echo("\n".join(problems))
    else:
        entries = codes.entries()
        click.echo(f"{path}: all {_size(entries)} in {_number(entries)} are right")
    if problems:
        ctx.exit(1)


@cache.command()
@_cache_argument
@click.option(
    "--entry",
    "prefixes",
    multiple=True,
    metavar="ID",
    help="This entry: the beginning of its id is enough.",
)
@click.option(
    "--model",
    metavar="NAME",
    help="All entries of a model: its name, or the beginning of its digest.",
)
@click.option("--all", "everything", is_flag=True, help="All entries.")
@click.option(
    "--generated",
    is_flag=True,
    help="The images of `latentmap fit --samples`, which can be made again.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(
    path: Path,
    prefixes: tuple[str, ...],
    model: str | None,
    everything: bool,
    generated: bool,
    yes: bool,
) -> None:
    """Remove entries of a cache, and say how much that frees.

    \b
    Examples:
      latentmap cache rm codes --entry 3f2a
      latentmap cache rm codes --generated
    """
    from latentmap.cache import LatentCache
    from latentmap.model.generated import kept_bytes, remove_kept

    named = bool(prefixes or model or everything)
    if not (named or generated):
        raise click.UsageError("say what to remove: --entry ID, --model NAME, --all or --generated")
    if generated:
        images = path / "generated"
        if not yes:
            size = kept_bytes(images) / 2**20
            click.confirm(f"Remove {size:.1f} MiB of generated images of {path}?", abort=True)
        freed = remove_kept(images)
        click.echo(f"{path}: removed the generated images, which frees {freed / 2**20:.1f} MiB")
    if not named:
        return
    codes = LatentCache(path)
    doomed = _choose(codes, prefixes, model, everything)
    if not yes:
        for entry in doomed:
            click.echo(str(entry))
        click.confirm(f"Remove {_number(doomed)} ({_size(doomed)}) of {path}?", abort=True)
    for entry in doomed:
        codes.remove(entry)
    click.echo(f"{path}: removed {_number(doomed)}, which frees {_size(doomed)}")


@cache.command()
@_cache_argument
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file: .npz with the arrays ids and codes, or .h5 with both as datasets.",
)
@click.option(
    "--entry",
    "prefix",
    default="",
    metavar="ID",
    help="Which entry, when there are several: the beginning of its id.",
)
@force_option
def export(path: Path, out: Path, prefix: str, force: bool) -> None:
    """Write the codes of one entry to one file.

    \b
    Example:
      latentmap cache export codes --out codes.npz
    """
    from latentmap.cache import LatentCache

    codes = LatentCache(path).export(out, prefix=prefix, force=force)
    click.echo(f"{out}: {len(codes)} codes in {codes.space}")


def _choose(
    codes: LatentCache, prefixes: tuple[str, ...], model: str | None, everything: bool
) -> list[Entry]:
    from latentmap.errors import CacheError

    entries = list(codes.entries())
    if everything:
        return entries
    chosen = {codes.entry(prefix).id for prefix in prefixes}
    if model:
        mine = {entry.id for entry in entries if _is_of(entry, model)}
        if not mine:
            names = {entry.manifest.space.model for entry in entries if entry.manifest}
            raise CacheError(
                f"no entry of model {model!r} in {codes.path}: "
                f"its models are {', '.join(sorted(names)) or 'none'}"
            )
        chosen |= mine
    return [entry for entry in entries if entry.id in chosen]


def _is_of(entry: Entry, model: str) -> bool:
    if entry.manifest is None:
        return False
    space = entry.manifest.space
    return model == space.model or space.fingerprint.startswith(model)


def _size(entries: Iterable[Entry]) -> str:
    kibibytes = sum(entry.size for entry in entries) / 1024
    return f"{kibibytes:.0f} KiB" if kibibytes < 1024 else f"{kibibytes / 1024:.1f} MiB"


def _number(entries: Sequence[Entry]) -> str:
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"


def _state(entry: Entry) -> str:
    if entry.problem:
        return "damaged"
    if entry.manifest is None:
        return "empty"
    return "complete" if entry.manifest.complete else "unfinished"


def _row(entry: Entry) -> tuple[object, ...]:
    size, state = _size([entry]), _state(entry)
    if entry.manifest is None:
        return (entry.id, "", "", "", "", "", "", size, state)
    manifest = entry.manifest
    images = f"{manifest.done}/{manifest.images}"
    space, precision = manifest.space, manifest.key.precision
    skipped = len(manifest.skipped)
    return (entry.id, space.model, space.kind, space.dim, precision, images, skipped, size, state)


def _describe(entry: Entry) -> dict[str, Any]:
    described: dict[str, Any] = {
        "entry": entry.id,
        "state": _state(entry),
        "bytes": entry.size,
        "problem": entry.problem,
    }
    if entry.manifest is not None:
        manifest = entry.manifest
        described |= {
            **manifest.provenance(),
            "images": manifest.images,
            "done": manifest.done,
            "skipped": [skip.id for skip in manifest.skipped],
            "repairs": list(manifest.repairs),
        }
    return described
