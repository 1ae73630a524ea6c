"""latentmap compare: how the spaces of several models relate."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.fit_options import METHODS
from latentmap.cli.image_choice import first_of_splits
from latentmap.cli.options import (
    DataOptions,
    batch_size_option,
    cache_option,
    class_option,
    data_options,
    device_option,
    force_option,
    json_option,
    precision_option,
    seed_option,
)

if TYPE_CHECKING:
    from latentmap.comparison import ModelComparison
    from latentmap.images import ImageSource
    from latentmap.model import Model

FIGURES = "comparison.json"  # Beside the page.


def _parse_methods(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    if value is None:
        return ()
    names = tuple(name.strip() for name in value.split(","))
    if names == ("all",):
        return METHODS
    for name in names:
        if name not in METHODS:
            raise click.BadParameter(f"{name!r} is no method: choose among {', '.join(METHODS)}")
    return names


@click.command()
@click.argument("references", nargs=-1, required=True, metavar="MODEL MODEL ...")
@functools.partial(data_options, required=False)  # Samples can stand in place of images.
@click.option(
    "--samples",
    "n_samples",
    type=click.IntRange(min=200),
    metavar="N",
    help="Instead of --data: N images that one of the models makes; they are kept in the cache.",
)
@click.option(
    "--sample-from",
    metavar="MODEL",
    help="For --samples: which of the models makes them.  [default: the first generator]",
)
@class_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write a report into this folder: index.html, and its numbers in comparison.json; what "
    "other commands added to it stays.  [default: none is written]",
)
@click.option(
    "--methods",
    callback=_parse_methods,
    metavar="NAME,NAME,...",
    help="Fit these besides ridge, and compare them by their codes; `all` is all that fit has.",
)
@click.option(
    "--scored",
    type=click.IntRange(min=20),
    default=128,
    show_default=True,
    metavar="N",
    help="How many random test images are decoded by every model.",
)
@click.option(
    "--compared",
    type=click.IntRange(min=20),
    default=800,
    show_default=True,
    metavar="N",
    help="How many random test images the similarity indexes compare.",
)
@click.option(
    "--permutations",
    type=click.IntRange(min=19),  # With fewer, chance could never be below 5 %.
    default=99,
    show_default=True,
    metavar="N",
    help="Random pairings that tell what the indexes of unrelated spaces are.",
)
@seed_option
@cache_option
@device_option
@precision_option
@batch_size_option
@json_option
@force_option
def compare(
    references: tuple[str, ...],
    data: DataOptions,
    n_samples: int | None,
    sample_from: str | None,
    label: int | None,
    out: Path | None,
    methods: tuple[str, ...],
    scored: int,
    compared: int,
    permutations: int,
    seed: int,
    cache: Path,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Compare the spaces of several models with each other.

    Maps between all of them, fitted on the split train (or --split val) and judged on the split
    test; ways by a third model, and there and back; similarity indexes that need no map, each with
    its interval and what random pairings give. --limit holds for each of the two splits. Each model
    sees the images in its own frame, size and channels: grey models see colour images in grey.

    \b
    Examples:
      latentmap compare vae.safetensors svae.safetensors gan.safetensors --data faces.zip
      latentmap compare vae.safetensors svae.safetensors --data faces.zip --out report
      latentmap compare svae.safetensors ffhq.safetensors --samples 20000 --out report
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.comparison import compare_models
    from latentmap.comparison.models import require_different
    from latentmap.encoders import load

    _check_usage(references, data, n_samples, sample_from, label)
    if out is not None:
        _refuse_report(out, force=force)
    models = [load(reference, device=device) for reference in references]
    require_different(models)
    split = data.split or "train"
    if n_samples is None:
        images = replace(data, split=None, limit=None).open()
    else:
        maker = None if sample_from is None else references.index(sample_from)
        images, models = _sampled(
            models, n_samples, maker=maker, label=label, seed=seed, cache=cache
        )
    if data.limit is not None:
        images = first_of_splits(images, (split, "test"), data.limit)
    result = compare_models(
        models,
        images,
        cache=LatentCache(cache, notify=warn),
        split=split,
        seed=seed,
        scored=scored,
        compared=compared,
        permutations=permutations,
        methods=methods,
        precision=precision,
        batch_size=batch_size,
        on_error=data.on_error,
        references=references,
        record={"command": command_line(), "group_by": data.group_by and data.group_by.name},
        stage=progress_bar,
    )
    warn_skipped(result.record["skipped"])
    for (name, reason), count in result.failures.items():
        pairs = "" if count == len(result.pairs) else f" for {count} of {len(result.pairs)} pairs"
        warn(f"{name} has no map{pairs}: {reason}")
    if out is not None:
        _write_report(result, out)
    if as_json:
        print_json(result.to_json())
        return
    click.echo(result)
    if out is not None:
        click.echo(f"written to {out / 'index.html'}")


def _check_usage(
    references: tuple[str, ...],
    data: DataOptions,
    n_samples: int | None,
    sample_from: str | None,
    label: int | None,
) -> None:
    if len(references) < 2:
        raise click.UsageError("give at least two models to compare")
    if (data.path is None) == (n_samples is None):
        raise click.UsageError("give either images (--data) or a number of samples (--samples)")
    for name, value in (("--sample-from", sample_from), ("--class", label)):
        if value is not None and n_samples is None:
            raise click.UsageError(f"{name} is for --samples: leave it out")
    if sample_from is not None and sample_from not in references:
        raise click.UsageError(f"--sample-from must be one of the models, not {sample_from!r}")
    if n_samples is not None and (data.group_by, data.attributes, data.where) != (None,) * 3:
        raise click.UsageError(
            "--group-by, --attributes and --where choose images of a data set: leave them out with "
            "--samples"
        )


def _sampled(
    models: list[Model], n: int, *, maker: int | None, label: int | None, seed: int, cache: Path
) -> tuple[ImageSource, list[Model]]:
    """The images that one of the models makes, and all as they see those; says which made them."""
    from latentmap.cli.output import warn
    from latentmap.cli.progress import progress_bar
    from latentmap.comparison.making import images_for_all, maker_among
    from latentmap.encoders.sampling import adjust

    maker = maker_among(models) if maker is None else maker
    making = adjust(models[maker], label=label)
    models = [making if number == maker else model for number, model in enumerate(models)]
    kind = making.space.kind if label is None else f"{making.space.kind}, class {label}"
    warn(f"{n} images are made by {making.name} ({kind}), seed {seed}")
    warn(f"{making.name} takes part with the codes that they are made of: its own error is none")
    with progress_bar("generating") as progress:
        return images_for_all(
            models,
            maker,
            n,
            seed=seed,
            folder=cache / "generated",
            notify=warn,
            progress=progress,
        )


def _refuse_report(out: Path, *, force: bool) -> None:
    from latentmap.comparison.section import SECTIONS
    from latentmap.errors import OutputError
    from latentmap.files import refuse_existing
    from latentmap.report.store import begun_report, require_report_folder

    require_report_folder(out)
    if not out.exists():
        return
    # Of a report that other commands began nothing is replaced.
    refuse_existing(out / FIGURES, force=force)
    shown = {section.id for section in begun_report(out).sections}
    if not force and shown.intersection(SECTIONS):
        raise OutputError(
            f"the report in {out} has a comparison: choose another folder, or add --force to "
            "replace it"
        )


def _write_report(result: ModelComparison, out: Path) -> None:
    """The page, and all figures for programs beside it."""
    from latentmap.cli.output import json_text
    from latentmap.comparison.section import SECTIONS, comparison_report
    from latentmap.files import write_atomic
    from latentmap.report.store import write_report

    write_report(out, comparison_report(result), replaces=SECTIONS)
    write_atomic(out / FIGURES, json_text(result.to_json()).encode())
