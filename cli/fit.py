"""latentmap fit: a map from one latent space to another, and its scores."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from latentmap.cli.fit_options import (
    FitOptionsGiven,
    fit_options,
)
from latentmap.cli.fit_support import check_support, with_support
from latentmap.cli.image_choice import SampleOptions, first_of_splits, sample_options
from latentmap.cli.options import (
    DataOptions,
    batch_size_option,
    cache_option,
    data_options,
    device_option,
    force_option,
    json_option,
    precision_option,
    refuse_given,
    seed_option,
)
from latentmap.cli.report_option import add_to_report, check_report, report_option

_SAMPLES = 5000  # Where no images are asked for.
_SHOWN = 10  # Images in a picture.


def _parse_sizes(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int | None, ...] | None:
    """Numbers of pairs; None stands for all."""
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if not all(part == "all" or (part.isascii() and part.isdigit()) for part in parts):
        raise click.BadParameter(f"{value!r} is no list of sizes: give numbers such as 16,64,all")
    return tuple(None if part == "all" else int(part) for part in parts)


@click.command()
@click.option("--src", required=True, metavar="MODEL", help="The source: codes come from it.")
@click.option("--dst", required=True, metavar="MODEL", help="The target: codes go to it.")
@functools.partial(data_options, required=False)  # Samples can stand in place of images.
@functools.partial(sample_options, fewest=50, view=True)
@click.option(
    "--support",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Fit on the images of this support set, found in the data by their contents; --limit "
    "holds for the images to score then.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="MAP",
    help="The map to write.  [default: SRC-to-DST.safetensors]",
)
@click.option(
    "--pairs",
    "n_pairs",
    type=click.IntRange(min=2),
    metavar="N",
    help="Fit on N random images of the split.  [default: all]",
)
@fit_options
@click.option(
    "--curve",
    callback=_parse_sizes,
    metavar="N,N,...",
    help="Fit on so many random pairs each, and show how the scores grow; `all` is all of them. "
    "No map is written.",
)
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="For --curve: how often each number of pairs is drawn.",
)
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help="A picture: original, source reconstruction and relocated image of some images to score; "
    "or the --curve.  [default: none, or MAP.png where neither --data nor --samples is given]",
)
@report_option
@seed_option
@cache_option
@device_option
@precision_option
@batch_size_option
@json_option
@force_option
@click.pass_context
def fit(
    context: click.Context,
    src: str,
    dst: str,
    data: DataOptions,
    samples: SampleOptions,
    support: Path | None,
    out: Path | None,
    n_pairs: int | None,
    options: FitOptionsGiven,
    curve: tuple[int | None, ...] | None,
    draws: int,
    figure: Path | None,
    report: Path | None,
    seed: int,
    cache: Path,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Fit a linear map from the codes of one model to those of another, and score it.

    Without a data set, images are taken that a generator makes, whose codes are known: --samples of
    them, or 5,000. Images are encoded through the cache. The map is fitted on the split train (or
    --split val, or the images of a --support set) and scored on the split test, without those that
    it was fitted on, with 95 % intervals over images; --limit holds for each of the two.

    With --method all, a table compares all methods on the same pairs and images; with --curve, the
    scores stand against the number of pairs. Neither writes a map.

    \b
    Examples:
      latentmap fit --src svae --dst stylegan
      latentmap fit --src vae.safetensors --dst svae.safetensors --data faces.zip
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip --method procrustes
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip --method all
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip \\
          --curve 16,64,256,all --figure curve.png
      latentmap fit --src svae.safetensors --dst stylegan.safetensors --samples 20000
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip --support support.h5
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders import load
    from latentmap.files import refuse_equal, refuse_existing
    from latentmap.relocation import fit_training, relocate, score_models, training_pairs
    from latentmap.relocation.section import fit_section
    from latentmap.report import save_figure
    from latentmap.report.figures import relocation_grid

    several = curve is not None or options.method == "all"
    alone = data.path is None and samples.n is None
    if support is not None and alone:
        raise click.UsageError("--support needs the images that it was built from: give --data")
    if alone:
        samples = replace(samples, n=_SAMPLES)
    samples.check(data)
    check_support(support, data, samples, n_pairs, curve)
    if curve is None:
        refuse_given(context, ["draws"], "without --curve")
    options.check(context)
    _check_outputs(options, several, curve, out, figure)
    check_report(report)
    source, target = (load(reference, device=device) for reference in (src, dst))
    path = out or Path(f"{source.name}-to-{target.name}.safetensors")
    if alone and not several:
        figure = figure or path.with_suffix(".png")
    refuse_equal({"--out": path, "--figure": figure, "--report": report})
    for output in (figure, None if several else path):
        if output is not None:
            refuse_existing(output, force=force)
    split = data.split or "train"
    if samples.n is None:
        images = replace(data, split=None, limit=None).open()
    else:
        images, source, target = samples.draw(source, target, seed=seed, cache=cache)
    if data.limit is not None and support is None:
        # Before the split, a limit could leave no test images: CelebA's come last.
        images = first_of_splits(images, (split, "test"), data.limit)
    test = images.split("test")
    made: dict[str, Any] = {
        "command": command_line(),
        "group_by": data.group_by and data.group_by.name,
    }
    members = None
    if support is not None:
        test = test if data.limit is None else first_of_splits(test, ("test",), data.limit)
        images, members, made["support"] = with_support(support, images, test)
    codes = LatentCache(cache, notify=warn)
    training = training_pairs(
        source,
        target,
        images,
        cache=codes,
        split=split,
        chosen=members,
        n_pairs=n_pairs,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        on_error=data.on_error,
        stage=progress_bar,
    )
    title = f"{source.name} to {target.name}"
    if curve is not None:
        from latentmap.relocation.several_maps import learning_curve

        sizes = [len(training.pairs) if size is None else size for size in curve]
        grown = learning_curve(
            training,
            source,
            target,
            images,
            test,
            sizes=sizes,
            draws=draws,
            options=options.to_library(),
            cache=codes,
            seed=seed,
            batch_size=batch_size,
            on_error=data.on_error,
            record=made,
            stage=progress_bar,
        )
        if figure is not None:
            from latentmap.relocation.curves import save_curve

            save_curve(grown, figure, title=title)
        from latentmap.relocation.section import curve_section

        add_to_report(report, lambda: curve_section(grown))
        warn_skipped(_skipped(grown.record))
        print_json(grown.to_json()) if as_json else click.echo(grown)
        return
    if options.method == "all":
        from latentmap.relocation.several_maps import compare_methods

        compared = compare_methods(
            training,
            source,
            target,
            images,
            test,
            options=options.to_library(method="ridge"),
            cache=codes,
            seed=seed,
            batch_size=batch_size,
            on_error=data.on_error,
            record=made,
            stage=progress_bar,
        )
        for name, reason in compared.failed.items():
            warn(f"{name} has no map: {reason}")
        from latentmap.relocation.section import methods_section

        add_to_report(report, lambda: methods_section(compared))
        warn_skipped(_skipped(compared.results[0].scores.record))
        if as_json:
            results = [result.to_json() for result in compared.results]
            print_json({"results": results, "failed": compared.failed})
        else:
            click.echo(compared)
        return
    with progress_bar("fitting", "pairs") as progress:
        linear_map = fit_training(
            training,
            source,
            images,
            options=options.to_library(),
            seed=seed,
            references=(src, dst),
            record=made,
            progress=progress,
        )
    scores = score_models(
        linear_map,
        source,
        target,
        test,
        cache=codes,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        on_error=data.on_error,
        stage=progress_bar,
    )
    # Last, so that the same command goes on after an interruption.
    linear_map.save(path)
    if figure is not None or report is not None:
        shown = test.subset(range(min(_SHOWN, len(test))))
        moved = relocate(linear_map, source, target, shown, on_error=data.on_error)
        if figure is not None:
            grid = relocation_grid(
                moved.originals,
                moved.reconstructions,
                moved.relocated,
                source=source.name,
                target=target.name,
            )
            save_figure(grid, figure)
        add_to_report(report, lambda: fit_section(linear_map, scores, moved))
    warn_skipped(_skipped(scores.record))
    if as_json:
        print_json(scores.to_json())
        return
    click.echo(f"{path}: {linear_map}")
    if figure is not None:
        click.echo(f"{figure}: original, {source.name} reconstruction, relocated to {target.name}")
    click.echo(scores)


def _skipped(record: Mapping[str, Any]) -> list[str]:
    """The images that could not be read, of those to fit on and of those to score."""
    return list(dict.fromkeys((*record["fit_skipped"], *record["skipped"])))


def _check_outputs(
    options: FitOptionsGiven,
    several: bool,
    curve: tuple[int | None, ...] | None,
    out: Path | None,
    figure: Path | None,
) -> None:
    if several and out is not None:
        raise click.UsageError("--method all and --curve write no map: leave --out out")
    if options.refine and options.method == "all":
        raise click.UsageError("--refine is of ridge and least-squares: leave it out with all")
    if curve is not None and options.method == "all":
        raise click.UsageError("a curve is of one method: give another than all, or no --curve")
    if figure is not None and options.method == "all":
        raise click.UsageError("--method all has no --figure: leave it out")
    if figure is not None and curve is not None:
        from latentmap.relocation.curves import require_plots

        require_plots(figure)
    elif figure is not None:
        from latentmap.report import require_picture_suffix

        require_picture_suffix(figure)
