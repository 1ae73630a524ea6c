"""latentmap map: what a fitted map says, and maps made of maps."""

from __future__ import annotations

from pathlib import Path

import click

from latentmap.cli.map_options import dst_override, map_argument, src_override
from latentmap.cli.options import (
    DataOptions,
    cache_option,
    data_options,
    device_option,
    force_option,
    json_option,
    seed_option,
)

_out_option = click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="MAP",
    help="The map to write.",
)


@click.group("map")
def map_group() -> None:
    """Describe maps, compose and invert them, and show the factors that two spaces share.

    \b
    Examples:
      latentmap map show vae-to-svae.safetensors
      latentmap map factors vae-to-svae.safetensors --data faces.zip --out factors.png
    """


@map_group.command()
@map_argument
@json_option
def show(map_path: Path, as_json: bool) -> None:
    """Describe a map: its spaces, how it was fitted, and what it explains.

    Over the pairs that it was fitted on: how much of the target's variance the map explains, its
    effective rank, the target variables that it explains best and least, and the source variables
    that matter most (what would be lost without each).

    \b
    Example:
      latentmap map show vae-to-svae.safetensors
    """
    from latentmap.cli.output import print_json
    from latentmap.mapping import LinearMap
    from latentmap.mapping.summary import describe
    from latentmap.report import as_text

    linear_map = LinearMap.load(map_path)
    if as_json:
        print_json({"file": str(map_path), **describe(linear_map)})
        return
    click.echo(f"{map_path}: {linear_map.method}")
    click.echo(as_text([one.without("method") for one in linear_map.tables()]))


@map_group.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("then", type=click.Path(path_type=Path))
@_out_option
@force_option
def compose(first: Path, then: Path, out: Path, force: bool) -> None:
    """Make one map of two: from A to B, then from B to C.

    Where the second leads back to the source of the first, the cycle error is printed: the share of
    the source's variance that does not come back.

    \b
    Example:
      latentmap map compose a-to-b.safetensors b-to-c.safetensors --out a-to-c.safetensors
    """
    from latentmap.files import refuse_existing
    from latentmap.mapping import LinearMap

    refuse_existing(out, force=force)
    one, two = LinearMap.load(first), LinearMap.load(then)
    composed = one.compose(two)
    composed.save(out)
    click.echo(f"{out}: {composed}")
    if one.source.same_as(two.target) and one.moments is not None:
        click.echo(f"cycle error {one.cycle_error(two):.4g} of the source's variance")


@map_group.command()
@map_argument
@_out_option
@force_option
def invert(map_path: Path, out: Path, force: bool) -> None:
    """Make the map back, by the pseudo-inverse, and say how much of the source comes back.

    A map that is fitted in the other direction predicts better; the inverse is the one that undoes
    this map.

    \b
    Example:
      latentmap map invert vae-to-svae.safetensors --out svae-to-vae.safetensors
    """
    from latentmap.files import refuse_existing
    from latentmap.mapping import LinearMap

    refuse_existing(out, force=force)
    inverse = LinearMap.load(map_path).invert()
    inverse.save(out)
    click.echo(f"{out}: {inverse}")
    if "kept_variance" in inverse.figures:
        click.echo(f"there and back keeps {inverse.figures['kept_variance']:.4g} of the variance")


@map_group.command()
@map_argument
@src_override
@dst_override
@data_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help="A picture: both models' images along each factor, side by side.",
)
@click.option(
    "-n",
    "--factors",
    "n_factors",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="How many factors the picture shows.",
)
@click.option(
    "--permutations",
    type=click.IntRange(min=19),  # With fewer, chance could never be below 5 %.
    default=99,
    show_default=True,
    metavar="N",
    help="Random pairings that the number of shared factors is held against.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="K",
    help="For the held-out curve; the groups of --group-by stay together.",
)
@seed_option
@cache_option
@device_option
@json_option
@force_option
def factors(
    map_path: Path,
    src: str | None,
    dst: str | None,
    data: DataOptions,
    out: Path | None,
    n_factors: int,
    permutations: int,
    folds: int,
    seed: int,
    cache: Path,
    device: str,
    as_json: bool,
    force: bool,
) -> None:
    """Show the factors that two spaces share: pairs of directions, one in each.

    They are ordered by the share of the target's variance that they carry. How many there are is
    judged on held-out pairs, against random pairings of the same codes.

    \b
    Example:
      latentmap map factors vae-to-svae.safetensors --data faces.zip --out factors.png
    """
    from dataclasses import replace

    from latentmap.cache import LatentCache
    from latentmap.cli.image_choice import first_of_splits
    from latentmap.cli.map_options import load_model_of
    from latentmap.cli.output import print_json, warn
    from latentmap.cli.progress import progress_bar
    from latentmap.files import refuse_existing
    from latentmap.mapping import LinearMap, shared_factors
    from latentmap.mapping.spectrum import shared_rank
    from latentmap.mapping.tables import factors_table
    from latentmap.relocation import require_models, training_pairs
    from latentmap.relocation.factors import factors_figure
    from latentmap.report import as_text, require_picture_suffix, save_figure

    if out is not None:
        refuse_existing(out, force=force)
        require_picture_suffix(out)
    linear_map = LinearMap.load(map_path)
    moments = linear_map.require_moments("the factors of a map")
    source = load_model_of(linear_map, "source", given=src, map_path=map_path, device=device)
    target = load_model_of(linear_map, "target", given=dst, map_path=map_path, device=device)
    require_models(linear_map, source, target)
    split = data.split or "train"
    images = replace(data, split=None, limit=None).open()
    if data.limit is not None:
        images = first_of_splits(images, (split,), data.limit)
    training = training_pairs(
        source,
        target,
        images,
        cache=LatentCache(cache, notify=warn),
        split=split,
        seed=seed,
        precision=linear_map.record.get("precision", "float32"),
        on_error=data.on_error,
        stage=progress_bar,
    )
    with progress_bar("permuting", "rounds") as progress:
        rank = shared_rank(
            training.pairs,
            folds=folds,
            groups=training.groups,
            penalty=linear_map.penalty or 0.0,
            permutations=permutations,
            seed=seed,
            progress=progress,
        )
    found = shared_factors(moments, linear_map.weight)
    if out is not None:
        save_figure(factors_figure(found, moments, source, target, n_factors=n_factors), out)
    if as_json:
        print_json({"shared": rank.to_json(), "factors": found.to_json()})
        return
    click.echo(as_text([factors_table(found, rank)]))
    if out is not None:
        click.echo(f"{out}: {min(n_factors, len(found.share))} factors")
