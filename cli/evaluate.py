"""latentmap evaluate: what a map loses on images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from latentmap.cli.map_options import dst_override, map_argument, src_override
from latentmap.cli.options import (
    DataOptions,
    batch_size_option,
    cache_option,
    data_options,
    device_option,
    json_option,
    precision_option,
    seed_option,
)


@click.command()
@map_argument
@src_override
@dst_override
@data_options
@seed_option
@cache_option
@device_option
@precision_option
@batch_size_option
@json_option
def evaluate(
    map_path: Path,
    src: str | None,
    dst: str | None,
    data: DataOptions,
    seed: int,
    cache: Path,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
) -> None:
    """Score a map on images, with 95 % intervals; those that it was fitted on are left out.

    R_mse is what the source loses by itself, L_mse the error of the codes, M_mse that of the
    relocated images; beside it stand its floor (the target's own reconstruction) and its baseline
    (the mean image), and efficiency = (baseline - M_mse) / (baseline - floor).

    \b
    Example:
      latentmap evaluate vae-to-svae.safetensors --data faces.zip --split test
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.map_options import load_model_of
    from latentmap.cli.output import print_json, warn
    from latentmap.cli.progress import progress_bar
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.relocation import score_models

    linear_map = LinearMap.load(map_path)
    source = load_model_of(linear_map, "source", given=src, map_path=map_path, device=device)
    target = load_model_of(linear_map, "target", given=dst, map_path=map_path, device=device)
    scores = score_models(
        linear_map,
        source,
        target,
        data.open(),
        cache=LatentCache(cache, notify=warn),
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        on_error=data.on_error,
        stage=progress_bar,
    )
    if as_json:
        print_json(scores.to_json())
        return
    left_out = scores.record["n_left_out"]
    if left_out:
        click.echo(f"left out {left_out} images that the map was fitted on", err=True)
    click.echo(scores.table())
