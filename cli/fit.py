"""latentmap fit: a map from one latent space to another, and its scores."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from latentmap.cli.fit_options import (
    FitOptionsGiven,
    curve_table,
    fit_options,
    methods_table,
)
from latentmap.cli.options import (
    DataOptions,
    batch_size_option,
    cache_option,
    data_options,
    device_option,
    force_option,
    json_option,
    precision_option,
    seed_option,
)

if TYPE_CHECKING:
    from latentmap.images import ImageSource
    from latentmap.model import Model
    from latentmap.splits import Split


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
@click.option(
    "--samples",
    "n_samples",
    type=click.IntRange(min=50),
    metavar="N",
    help="Instead of --data: N images that one of the models makes; they are kept in the cache.",
)
@click.option(
    "--sample-from",
    type=click.Choice(("src", "dst")),
    help="For --samples: which model makes them.  [default: the generator, else dst]",
)
@click.option(
    "--view",
    metavar="BOX",
    help="For --samples: the box top,left,bottom,right (0 to 1) of the made image that the other "
    "model sees.  [default: by the frames of the two]",
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
    help="For --curve: a picture of it.",
)
@seed_option
@cache_option
@device_option
@precision_option
@batch_size_option
@json_option
@force_option
def fit(
    src: str,
    dst: str,
    data: DataOptions,
    n_samples: int | None,
    sample_from: Literal["src", "dst"] | None,
    view: str | None,
    out: Path | None,
    n_pairs: int | None,
    options: FitOptionsGiven,
    curve: tuple[int | None, ...] | None,
    draws: int,
    figure: Path | None,
    seed: int,
    cache: Path,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Fit a linear map from the codes of one model to those of another, and score it.

    Without a data set, --samples takes images that a generator makes, whose codes are known.
    Images are encoded through the cache. The map is fitted on the split train (or --split val) and
    scored on the split test, with 95 % intervals over images; --limit holds for each of the two.

    With --method all, a table compares all methods on the same pairs and images; with --curve, the
    scores stand against the number of pairs. Neither writes a map.

    \b
    Examples:
      latentmap fit --src vae.safetensors --dst svae.safetensors --data faces.zip
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip --method procrustes
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip --method all
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip \\
          --curve 16,64,256,all --figure curve.png
      latentmap fit --src svae.safetensors --dst stylegan.safetensors --samples 20000
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders import load
    from latentmap.files import refuse_existing
    from latentmap.pairing import training_pairs
    from latentmap.relocation import fit_training, score_models

    _check_images(data, n_samples, sample_from, view)
    several = curve is not None or options.method == "all"
    _check_outputs(options, several, curve, out, figure, force)
    source, target = (load(reference, device=device) for reference in (src, dst))
    path = out or Path(f"{source.name}-to-{target.name}.safetensors")
    if not several:
        refuse_existing(path, force=force)
    split = data.split or "train"
    if n_samples is None:
        images = replace(data, split=None, limit=None).open()
    else:
        images, source, target = _sampled(
            source, target, n_samples, sample_from=sample_from, view=view, seed=seed, cache=cache
        )
    if data.limit is not None:
        # Before the split, a limit could leave no test images: CelebA's come last.
        images = _first_of_splits(images, (split, "test"), data.limit)
    test = images.split("test")
    codes = LatentCache(cache, notify=warn)
    training = training_pairs(
        source,
        target,
        images,
        cache=codes,
        split=split,
        n_pairs=n_pairs,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        on_error=data.on_error,
        stage=progress_bar,
    )
    title = f"{source.name} to {target.name}"
    made = {"command": command_line(), "group_by": data.group_by and data.group_by.name}
    if curve is not None:
        from latentmap.comparison import learning_curve

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
            from latentmap.report.curves import save_curve

            save_curve(grown, figure, title=title)
        warn_skipped(_skipped(grown.record))
        print_json(grown.to_json()) if as_json else click.echo(curve_table(grown))
        return
    if options.method == "all":
        from latentmap.comparison import compare_methods

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
        warn_skipped(_skipped(compared.results[0].scores.record))
        if as_json:
            results = [result.to_json() for result in compared.results]
            print_json({"results": results, "failed": compared.failed})
        else:
            click.echo(methods_table(compared, title))
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
    warn_skipped(_skipped(scores.record))
    if as_json:
        print_json(scores.to_json())
        return
    click.echo(f"{path}: {linear_map}")
    click.echo(scores.table())


def _check_images(
    data: DataOptions, n_samples: int | None, sample_from: str | None, view: str | None
) -> None:
    """Either a data set or samples, and nothing of the one with the other."""
    if (data.path is None) == (n_samples is None):
        raise click.UsageError("give either images (--data) or a number of samples (--samples)")
    if n_samples is None and (sample_from, view) != (None, None):
        raise click.UsageError("--sample-from and --view are for --samples: leave them out")
    of_data = (data.group_by, data.attributes, data.where)
    if n_samples is not None and of_data != (None, None, None):
        raise click.UsageError(
            "--group-by, --attributes and --where choose images of a data set: leave them out with "
            "--samples"
        )


def _sampled(
    source: Model,
    target: Model,
    n: int,
    *,
    sample_from: Literal["src", "dst"] | None,
    view: str | None,
    seed: int,
    cache: Path,
) -> tuple[ImageSource, Model, Model]:
    """The images that one of the models makes, and the two as they see those; says which made
    them.
    """
    from latentmap.cli.output import warn
    from latentmap.cli.progress import progress_bar
    from latentmap.generated import images_between, maker_of

    if sample_from is None:
        sample_from = "src" if maker_of(source, target) == "source" else "dst"
    maker, other = (source, target) if sample_from == "src" else (target, source)
    box = view or maker.views.get(other.fingerprint)
    seen = f", of which {other.name} sees {box}" if box else ""
    warn(f"{n} images are made by {maker.name} ({maker.space.kind}), seed {seed}{seen}")
    warn(f"{maker.name} takes part with the codes that they are made of: its own error is none")
    with progress_bar("generating") as progress:
        images, maker, other = images_between(
            maker,
            other,
            n,
            seed=seed,
            folder=cache / "generated",
            view=view,
            notify=warn,
            progress=progress,
        )
    return (images, maker, other) if sample_from == "src" else (images, other, maker)


def _skipped(record: Mapping[str, Any]) -> list[str]:
    """The images that could not be read, of those to fit on and of those to score."""
    return list(dict.fromkeys((*record["fit_skipped"], *record["skipped"])))


def _check_outputs(
    options: FitOptionsGiven,
    several: bool,
    curve: tuple[int | None, ...] | None,
    out: Path | None,
    figure: Path | None,
    force: bool,
) -> None:
    from latentmap.files import refuse_existing

    if several and out is not None:
        raise click.UsageError("--method all and --curve write no map: leave --out out")
    if options.refine and options.method == "all":
        raise click.UsageError("--refine is of ridge and least-squares: leave it out with all")
    if curve is not None and options.method == "all":
        raise click.UsageError("a curve is of one method: give another than all, or no --curve")
    if figure is not None:
        if curve is None:
            raise click.UsageError("--figure is the picture of a --curve: give one")
        from latentmap.report.curves import require_plots

        refuse_existing(figure, force=force)
        require_plots(figure)


def _first_of_splits(images: ImageSource, names: tuple[Split, ...], n: int) -> ImageSource:
    """The first ``n`` images of each of some splits, in the order in which they stand."""
    import numpy as np

    parts = [np.flatnonzero(images.splits == name)[:n] for name in names]
    return images.subset(np.unique(np.concatenate(parts)))
