"""latentmap encode: the codes of images, into a cache."""

from __future__ import annotations

from dataclasses import replace

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import RUNNING, Command, number_option
from latentmap.cli.kinds import Reference
from latentmap.cli.options import CoderOptions, coder_options, device_option, json_option
from latentmap.cli.output import say


@click.command(cls=Command)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=Reference())
@data_options
@coder_options
@device_option
@number_option(
    "--workers",
    most=1024,
    title=RUNNING,
    help="Threads that decode images.  [default: by the processors]",
)
@json_option
def encode(
    models: tuple[str, ...],
    data: DataOptions,
    coding: CoderOptions,
    device: str,
    workers: int | None,
    as_json: bool,
) -> None:
    """Encode images with one or more models; each image is decoded once for all of them.

    What the cache holds already is not computed again, and a run that was stopped goes on.

    \b
    Example:
      latentmap encode vae.safetensors svae.safetensors --data faces.zip --cache codes
    """
    from latentmap.cli.output import print_json, warn_skipped
    from latentmap.encoders import load

    loaded = [load(reference, device=device) for reference in models]
    images = data.open()
    coder = replace(coding.open(data), workers=workers)
    results = coder.codes(loaded, images)
    if as_json:
        print_json(
            {
                "cache": str(coding.cache),
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
        say(f"{coding.cache}: {len(codes)} codes in {codes.space}")
    warn_skipped(list(dict.fromkeys(name for codes in results for name in codes.skipped)))
