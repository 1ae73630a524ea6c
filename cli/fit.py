"""latentmap fit: a map from one latent space to another, and its scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
    from latentmap.splits import Split


@click.command()
@click.option("--src", required=True, metavar="MODEL", help="The source: codes come from it.")
@click.option("--dst", required=True, metavar="MODEL", help="The target: codes go to it.")
@data_options
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
@click.option(
    "--penalty",
    type=click.FloatRange(min=0),
    metavar="NUMBER",
    help="The ridge penalty.  [default: the smallest leave-one-out error]",
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
    out: Path | None,
    n_pairs: int | None,
    penalty: float | None,
    seed: int,
    cache: Path,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Fit a linear map from the codes of one model to those of another, and score it.

    Images are encoded through the cache. The map is fitted on the split train (or --split val) and
    scored on the split test, with 95 % intervals over images; --limit holds for each of the two.

    \b
    Example:
      latentmap fit --src vae.safetensors --dst svae.safetensors --data faces.zip
    """
    from latentmap.cache import LatentCache
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders import load
    from latentmap.files import refuse_existing
    from latentmap.relocation import fit_models, score_models

    source, target = (load(reference, device=device) for reference in (src, dst))
    path = out or Path(f"{source.name}-to-{target.name}.safetensors")
    refuse_existing(path, force=force)
    split = data.split or "train"
    images = replace(data, split=None, limit=None).open()
    if data.limit is not None:
        # Before the split, a limit could leave no test images: CelebA's come last.
        images = _first_of_splits(images, (split, "test"), data.limit)
    test = images.split("test")
    codes = LatentCache(cache, notify=warn)
    group_by = data.group_by and data.group_by.name
    linear_map = fit_models(
        source,
        target,
        images,
        cache=codes,
        split=split,
        n_pairs=n_pairs,
        penalty=penalty,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        on_error=data.on_error,
        references=(src, dst),
        record={"command": command_line(), "group_by": group_by},
        stage=progress_bar,
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
    skipped = (*linear_map.record["fit_skipped"], *scores.record["skipped"])
    warn_skipped(list(dict.fromkeys(skipped)))
    if as_json:
        print_json(scores.to_json())
        return
    click.echo(f"{path}: {linear_map}")
    click.echo(scores.table())


def _first_of_splits(images: ImageSource, names: tuple[Split, ...], n: int) -> ImageSource:
    """The first ``n`` images of each of some splits, in the order in which they stand."""
    import numpy as np

    parts = [np.flatnonzero(images.splits == name)[:n] for name in names]
    return images.subset(np.unique(np.concatenate(parts)))
