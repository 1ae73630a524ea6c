"""latentmap bench: what a generator cannot make."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.declaring import OUTPUT, Command, option
from latentmap.cli.options import (
    CoderOptions,
    DataOptions,
    batch_size_option,
    cache_option,
    class_option,
    data_options,
    device_option,
    force_option,
    json_option,
    refuse_given,
    seed_option,
)
from latentmap.cli.report_option import add_to_report, check_report, report_option

if TYPE_CHECKING:
    from latentmap.expressiveness import Expressiveness
    from latentmap.expressiveness.targets import TargetSet
    from latentmap.model import Model
    from latentmap.report import Section

# A test compares these with the library's own list, which cannot be imported here without torch.
METHODS = ("network", "search", "hybrid")


def _parse_methods(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    parts = () if value is None else tuple(part.strip() for part in value.split(","))
    for part in parts:
        if part not in METHODS:
            raise click.BadParameter(f"{part!r} is no method: choose among {', '.join(METHODS)}")
    return parts


@click.command(cls=Command)
@click.argument("references", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--set",
    "set_texts",
    multiple=True,
    required=True,
    metavar="IMAGES",
    help="What shall be reproduced: own:256 (images of the generator itself), support.h5, or "
    "images as --data takes them, as faces.zip:256 for 256 random ones. Repeat it for several.",
)
@functools.partial(data_options, required=False)  # For support sets that hold no images.
@click.option(
    "--methods",
    callback=_parse_methods,
    metavar="NAME,NAME,...",
    help=f"How codes are found, of {', '.join(METHODS)} (a search that begins with the network).  "
    "[default: network where there is one, and search]",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="N",
    help="At most so many steps of a search.",
)
@click.option(
    "--starts",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="From so many starts.",
)
@click.option(
    "--encoder",
    metavar="MODEL",
    help="Groups the images of a data set by their codes in this model, to find where a generator "
    "is blind, and measures coverage on these codes.",
)
@click.option(
    "--map",
    "map_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="MAP",
    help="Also decode codes that this map carries from --src.",
)
@click.option("--src", metavar="MODEL", help="For --map: the model that it comes from.")
@report_option
@option(
    "--figures",
    title=OUTPUT,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Draw images over their reproductions, and errors by sector, into this folder.",
)
@class_option
@seed_option
@cache_option
@device_option
@batch_size_option
@json_option
@force_option
@click.pass_context
def bench(
    context: click.Context,
    references: tuple[str, ...],
    set_texts: tuple[str, ...],
    data: DataOptions,
    methods: tuple[Any, ...],
    steps: int,
    starts: int,
    encoder: str | None,
    map_path: Path | None,
    src: str | None,
    report: Path | None,
    figures: Path | None,
    label: int | None,
    seed: int,
    cache: Path,
    device: str,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Measure which images generators can reproduce: their own, those of a data set, a support set.

    Errors have 95 % intervals over images; the ratio is to the error of the generator's own images.
    These can be reproduced without any error, so they are the calibration of the search: where it
    misses more than 5 % of their variance, what it says of other images is marked unreliable.

    --split, --limit, --where, --attributes and --group-by choose among the images of data sets; own
    images and support sets are taken as they are.

    A sector, or a group of similar images (--encoder), is blind when it is at least 1.5 times as
    bad as the rest, and too bad for chance. With --encoder, how bad an image is, is its error over
    that of the encoder itself: some images are hard for any model.

    \b
    Examples:
      latentmap bench gan.safetensors --set own:256 --set faces.zip:256 --split test
      latentmap bench gan.safetensors vae.safetensors --set support.h5 --data faces.zip \\
          --figures bench
      latentmap bench gan.safetensors --set faces.zip:1000 --encoder svae.safetensors
    """
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.encoders import load
    from latentmap.encoders.sampling import adjust
    from latentmap.expressiveness import BenchOptions
    from latentmap.expressiveness import bench as measure
    from latentmap.expressiveness.tables import bench_tables
    from latentmap.expressiveness.targets import TargetName, titles_of
    from latentmap.files import refuse_equal
    from latentmap.inversion import SearchSettings
    from latentmap.mapping import LinearMap
    from latentmap.report import as_text

    if (map_path is None) != (src is None):
        raise click.UsageError("--map and --src belong together: give both, or neither")
    if set(methods) == {"network"}:
        reason = "with no --methods but network, which does not search"
        refuse_given(context, ("steps", "starts"), reason)
    names = [TargetName.parse(text) for text in set_texts]
    own = [name.n for name in names if name.path is None]
    if len(own) > 1:
        raise click.UsageError("own images are one set: give --set own:N once")
    _check_data(context, data, [Path(name.path) for name in names if name.path is not None])
    refuse_equal({"--figures": figures, "--report": report})
    if figures is not None:
        _check_folder(figures, force=force)
    check_report(report)
    models = [adjust(load(reference, device=device), label=label) for reference in references]
    image_sets = [
        _open(name.path, name.n, title, data, seed)
        for name, title in zip(names, titles_of(names), strict=True)
        if name.path is not None
    ]
    options = BenchOptions(
        methods=methods or None, search=SearchSettings(steps=steps, starts=starts)
    )
    if own and own[0]:
        options = replace(options, own=own[0])
    results = measure(
        models,
        image_sets,
        CoderOptions(cache, None, batch_size).open(data),
        options=options,
        encoder=None if encoder is None else load(encoder, device=device),
        mapped=None
        if map_path is None or src is None
        else (LinearMap.load(map_path), load(src, device=device)),
        seed=seed,
        record={"command": command_line()},
    )
    warn_skipped(list(dict.fromkeys(s for one in results for t in one.targets for s in t.skipped)))
    for name, left_out in results[0].record["left_out"].items():
        warn(f"{name} has no encoder: left out {', '.join(left_out)}")
    if figures is not None:
        _draw(figures, results, models)
    add_to_report(report, lambda: _section(results, models))
    if as_json:
        print_json({"generators": [result.to_json() for result in results]})
        return
    click.echo(as_text(bench_tables(results)))
    if figures is not None:
        click.echo(f"\nthe pictures are in {figures}")


def _check_folder(out: Path, *, force: bool) -> None:
    from latentmap.errors import OutputError
    from latentmap.files import require_parent
    from latentmap.relocation.curves import require_plots

    require_parent(out)
    if out.exists() and any(out.iterdir()) and not force:
        raise OutputError(f"{out} is not empty: choose another folder, or add --force")
    require_plots(out / "sectors.png")


def _check_data(context: click.Context, data: DataOptions, paths: Sequence[Path]) -> None:
    """Refuses options about images that no set among ``paths`` has a use for."""
    from latentmap.support.support_file import holds_support

    support_sets = [holds_support(path) for path in paths]
    if data.path is not None and not any(support_sets):
        raise click.UsageError(
            "--data is where the images of a support set are: leave it out, or give a support set "
            "as --set"
        )
    if all(support_sets):
        choices = ("split", "limit", "group_by", "attributes", "where")
        refuse_given(context, choices, "where no --set is a data set")


def _open(path: str, n: int | None, title: str, data: DataOptions, seed: int) -> TargetSet:
    """The images that a user names, out of --data where they are those of a support set."""
    from latentmap.expressiveness.targets import TargetSet
    from latentmap.support import SupportSet
    from latentmap.support.support_file import holds_support

    if not holds_support(Path(path)):
        images = replace(data, path=path).open()
        return TargetSet.of_images(images, n, name=title, seed=seed)
    whole = None if data.path is None else DataOptions(data.path).open()
    return TargetSet.of_support(SupportSet.load(Path(path)), whole, n=n, name=title, seed=seed)


def _draw(out: Path, results: Sequence[Expressiveness], models: Sequence[Model]) -> None:
    from latentmap.expressiveness.figures import blind_figure, reproduction_figure, save_sector_map
    from latentmap.report import save_figure

    out.mkdir(exist_ok=True)
    used: set[str] = set()
    for result, model in zip(results, models, strict=True):
        for scores in (result.own, *result.targets):
            stem = f"{result.name}-{scores.name}"
            save_figure(reproduction_figure(scores, model), out / _unused(stem, used))
            if any(one.blind for one in scores.sectors):
                save_figure(blind_figure(scores, model), out / _unused(f"{stem}-blind", used))
            if scores.sectors:
                path = out / _unused(f"{stem}-sectors", used)
                save_sector_map(scores, path, model=result.name)


def _section(results: Sequence[Expressiveness], models: Sequence[Model]) -> Section:
    from latentmap.expressiveness.section import bench_section

    return bench_section(results, models)


def _unused(title: str, used: set[str]) -> str:
    """The name of a picture's file, with a number where another picture has it; notes it."""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in title)
    numbered = (f"{plain}-{number}" for number in itertools.count(2))
    # Some disks take letters of either case for the same.
    stem = next(one for one in itertools.chain([plain], numbered) if one.casefold() not in used)
    used.add(stem.casefold())
    return f"{stem}.png"
