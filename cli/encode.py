"""latentmap encode: the codes of images, into a cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from latentmap.cli.options import (
    CoderOptions,
    DataOptions,
    batch_size_option,
    data_options,
    device_option,
    json_option,
    precision_option,
)


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@data_options
@click.option(
    "--out",
    "--cache",
    "cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("latentmap-cache"),
    show_default=True,
    envvar="LATENTMAP_CACHE",
    show_envvar=True,
    help="The folder where codes are kept.",
)
@device_option
@precision_option
@batch_size_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads that decode images.  [default: by the processors]",
)
@json_option
def encode(
    models: tuple[str, ...],
    data: DataOptions,
    cache: Path,
    device: str,
    precision: Any,
    batch_size: int | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Encode images with one or more models; each image is decoded once for all of them.

    What the cache holds already is not computed again, and a run that was stopped goes on.

    \b
    Example:
      latentmap encode vae.safetensors svae.safetensors --data faces.zip --out codes
    """
    from latentmap.cli.output import print_json, warn
    from latentmap.encoders import load

    loaded = [load(reference, device=device) for reference in models]
    images = data.open()
    coder = replace(CoderOptions(cache, precision, batch_size).open(data), workers=workers)
    results = coder.codes(loaded, images)
    if as_json:
        print_json(
            {
                "cache": str(cache),
                "data": images.fingerprint,
                "codes": [
                    {
                        "model": reference,
                        "fingerprint": codes.space.fingerprint,
                        "space": codes.space.kind,
                        "n": len(codes),
                        "dim": codes.space.dim,
                        "skipped": list(codes.skipped),
                    }
                    for reference, codes in zip(models, results, strict=True)
                ],
            }
        )
        return
    for codes in results:
        click.echo(f"{cache}: {len(codes)} codes in {codes.space}")
    for name in results[0].skipped:
        warn(f"skipped {name}: it could not be read")
