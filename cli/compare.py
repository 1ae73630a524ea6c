"""latentmap compare: how the spaces of several models relate."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import IMAGES, Command, option
from latentmap.cli.lists import NameList
from latentmap.cli.options import (
    CoderOptions,
    class_option,
    coder_options,
    device_option,
    force_option,
    json_option,
    seed_option,
)
from latentmap.cli.report_option import report_option
from latentmap.mapping.methods import METHODS

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.model import Model


@click.command(cls=Command)
@click.argument("references", nargs=-1, required=True, metavar="MODEL MODEL ...")
@functools.partial(data_options, required=False)  # Samples can stand in place of images.
@option(
    "--samples",
    "n_samples",
    title=IMAGES,
    type=click.IntRange(min=200),
    metavar="N",
    help="Instead of --data: N images that one of the models makes; they are kept in the cache.",
)
@option(
    "--sample-from",
    title=IMAGES,
    metavar="MODEL",
    help="For --samples: which of the models makes them.  [default: the first generator]",
)
@class_option
@click.option(
    "--methods",
    type=NameList("method", METHODS),
    default=(),
    metavar="NAME,NAME,...",
    help="Fit these besides ridge, and compare them by their codes; `all` is all that fit has.",
)
@click.option(
    "-n",
    "--images",
    "scored",
    type=click.IntRange(min=20),
    default=128,
    show_default=True,
    metavar="N",
    help="How many random test images are decoded by every model.",
)
@click.option(
    "--similarity-images",
    "compared",
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
@report_option
@seed_option
@coder_options
@device_option
@json_option
@force_option
def compare(
    references: tuple[str, ...],
    data: DataOptions,
    n_samples: int | None,
    sample_from: str | None,
    label: int | None,
    methods: tuple[str, ...],
    scored: int,
    compared: int,
    permutations: int,
    report: Path | None,
    seed: int,
    coding: CoderOptions,
    device: str,
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
      latentmap compare vae.safetensors svae.safetensors --data faces.zip --report report
      latentmap compare svae.safetensors ffhq.safetensors --samples 20000 --report report
    """
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.comparison import CompareOptions, compare_models
    from latentmap.comparison.models import require_different
    from latentmap.comparison.section import SECTIONS, comparison_report
    from latentmap.encoders import load
    from latentmap.report.store import write_report

    _check_usage(references, data, n_samples, sample_from, label)
    if report is not None:
        _refuse_report(report, force=force)
    models = [load(reference, device=device) for reference in references]
    require_different(models)
    coder = coding.open(data)
    if n_samples is None:
        images = data.open_to_fit()
    else:
        maker = None if sample_from is None else references.index(sample_from)
        images, models = _sampled(models, n_samples, coder, maker=maker, label=label, seed=seed)
        images = data.limited(images)
    result = compare_models(
        models,
        images,
        coder,
        options=CompareOptions(data.fitted_split, scored, compared, permutations, methods),
        seed=seed,
        references=references,
        record={"command": command_line(), "group_by": data.group_by and data.group_by.name},
    )
    warn_skipped(result.record["skipped"])
    for (name, reason), count in result.failures.items():
        pairs = "" if count == len(result.pairs) else f" for {count} of {len(result.pairs)} pairs"
        warn(f"{name} has no map{pairs}: {reason}")
    if report is not None:
        write_report(report, comparison_report(result), replaces=SECTIONS)
    if as_json:
        print_json(result.to_json())
        return
    click.echo(result)
    if report is not None:
        click.echo(f"written to {report / 'index.html'}")


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
    models: list[Model],
    n: int,
    coder: Coder,
    *,
    maker: int | None,
    label: int | None,
    seed: int,
) -> tuple[ImageSource, list[Model]]:
    """The images that one of the models makes, and all as they see those; says which made them."""
    from latentmap.cli.output import warn
    from latentmap.comparison.making import images_for_all, maker_among
    from latentmap.encoders.sampling import adjust

    maker = maker_among(models) if maker is None else maker
    making = adjust(models[maker], label=label)
    models = [making if number == maker else model for number, model in enumerate(models)]
    kind = making.space.kind if label is None else f"{making.space.kind}, class {label}"
    warn(f"{n} images are made by {making.name} ({kind}), seed {seed}")
    warn(f"{making.name} takes part with the codes that they are made of: its own error is none")
    with coder.stage("generating") as progress:
        return images_for_all(
            models,
            maker,
            n,
            seed=seed,
            folder=coder.generated,
            notify=warn,
            progress=progress,
        )


def _refuse_report(folder: Path, *, force: bool) -> None:
    """Refuses a report that has a comparison already, before any work is done."""
    from latentmap.comparison.section import SECTIONS
    from latentmap.errors import OutputError
    from latentmap.report.store import begun_report, require_report_folder

    require_report_folder(folder)
    if not folder.exists():
        return
    shown = {section.id for section in begun_report(folder).sections}
    if not force and shown.intersection(SECTIONS):
        raise OutputError(
            f"the report in {folder} has a comparison: choose another folder, or add --force to "
            "replace it"
        )
