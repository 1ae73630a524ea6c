"""latentmap support compare: are support sets better to fit a map on than random images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click

from latentmap.cli.fit_options import METHODS
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
from latentmap.cli.support_build import STRATEGIES, parse_threshold


def _parse_sizes(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 1 for part in parts):
        raise click.BadParameter(
            f"{value!r} is no list of sizes: give numbers from 2 on, such as 64,128,256"
        )
    return tuple(int(part) for part in parts)


def _parse_strategies(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    if value is None:
        return STRATEGIES
    parts = tuple(part.strip() for part in value.split(","))
    unknown = [part for part in parts if part not in STRATEGIES]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(STRATEGIES)}")
    if len(set(parts)) < len(parts):
        twice = next(part for i, part in enumerate(parts) if part in parts[:i])
        raise click.BadParameter(f"{twice} is given twice: give every strategy once")
    return parts


@click.command()
@click.option("--src", required=True, metavar="MODEL", help="The source: codes come from it.")
@click.option("--dst", required=True, metavar="MODEL", help="The target: codes go to it.")
@data_options
@click.option(
    "--sizes",
    default="64,128,150,256,512",
    show_default=True,
    callback=_parse_sizes,
    metavar="N,N,...",
    help="How many images the sets have.",
)
@click.option(
    "--strategies",
    callback=_parse_strategies,
    metavar="NAME,NAME,...",
    help=f"How the sets are chosen, of {', '.join(STRATEGIES)}; random images are always among "
    "them.  [default: all]",
)
@click.option(
    "--draws",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="N",
    help="How often each strategy chooses a set of each size, by other seeds.",
)
@click.option(
    "-k",
    "k",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    metavar="K",
    help="For sectors: leading variables, whose signs make the 2^K sectors.",
)
@click.option(
    "--threshold",
    default="auto",
    show_default=True,
    callback=parse_threshold,
    metavar="T|auto",
    help="For sectors: how far from the center a member of a sector lies, see `support build`.",
)
@click.option(
    "--in",
    "chosen_in",
    type=click.Choice(("src", "dst")),
    default="src",
    show_default=True,
    help="The model in whose space sets are chosen.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="ridge",
    show_default=True,
    metavar="NAME",
    help=f"How maps are fitted: {', '.join(METHODS)}.",
)
@click.option(
    "--images",
    "n_images",
    type=click.IntRange(min=2),
    default=256,
    show_default=True,
    metavar="N",
    help="Test images that every map relocates, for the efficiency; R2 is of all.",
)
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help="A picture of R2 and efficiency against the size.",
)
@seed_option
@cache_option
@device_option
@precision_option
@batch_size_option
@json_option
@force_option
@click.pass_context
def compare(
    context: click.Context,
    src: str,
    dst: str,
    data: DataOptions,
    sizes: tuple[int, ...],
    strategies: tuple[Any, ...],
    draws: int,
    k: int,
    threshold: float | Literal["auto"],
    chosen_in: Literal["src", "dst"],
    method: str,
    n_images: int,
    figure: Path | None,
    seed: int,
    cache: Path,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Compare maps fitted on support sets with maps fitted on as many random images.

    Sets are chosen among the images of the split train (or --split val), several times by other
    seeds; all maps are scored on the split test. Error bars are 95 % intervals of the mean over
    these draws. Where a size is below 2^K, sectors use fewer leading variables.

    \b
    Examples:
      latentmap support compare --src svae.safetensors --dst vae.safetensors --data faces.zip
      latentmap support compare --src vae.safetensors --dst svae.safetensors --data faces.zip \\
          --in dst --sizes 128,256 --strategies sectors,doptimal --figure sets.png
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.image_choice import first_of_splits
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders import load
    from latentmap.files import refuse_existing
    from latentmap.mapping import FitOptions
    from latentmap.relocation import training_pairs
    from latentmap.relocation.curves import require_plots
    from latentmap.support import compare_strategies, order_variables
    from latentmap.support.comparing import check_sizes
    from latentmap.support.sectors import check_count

    if "sectors" not in strategies:
        refuse_given(context, ("k", "threshold"), "where sectors are not among the --strategies")
    if figure is not None:
        refuse_existing(figure, force=force)
        require_plots(figure)
    source, target = (load(reference, device=device) for reference in (src, dst))
    model = source if chosen_in == "src" else target
    split = data.split or "train"
    images = replace(data, split=None, limit=None).open()
    if data.limit is not None:
        images = first_of_splits(images, (split, "test"), data.limit)
    test = images.split("test")
    candidates = images.split(split)
    check_sizes(sizes, len(candidates))
    if "sectors" in strategies:
        check_count(k, model.latent_dim, len(candidates))
    codes = LatentCache(cache, notify=warn)
    training = training_pairs(
        source,
        target,
        images,
        cache=codes,
        split=split,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        on_error=data.on_error,
        stage=progress_bar,
    )
    variables = None
    if "sectors" in strategies:
        chosen = training.pairs.source if chosen_in == "src" else training.pairs.target
        with progress_bar("ordering variables", "decodes") as progress:
            ordering = order_variables(
                model, candidates, chosen, leading=k, seed=seed, progress=progress
            )
        variables = ordering.order[:k].tolist()
    compared = compare_strategies(
        training,
        source,
        target,
        images,
        test,
        sizes=sizes,
        strategies=strategies,
        draws=draws,
        space="source" if chosen_in == "src" else "target",
        variables=variables,
        threshold=threshold,
        n_images=n_images,
        cache=codes,
        options=FitOptions(method=method),
        seed=seed,
        batch_size=batch_size,
        on_error=data.on_error,
        record={"command": command_line(), "group_by": data.group_by and data.group_by.name},
        stage=progress_bar,
    )
    warn_skipped(compared.record["fit_skipped"])
    title = f"{source.name} to {target.name}, sets chosen in {model.name}"
    if figure is not None:
        from latentmap.support.curves import save_support_curves

        save_support_curves(compared, figure, title=title)
    if as_json:
        print_json(compared.to_json())
        return
    click.echo(f"{title}: {compared.record['method']}")
    click.echo(compared)
