"""latentmap diagnose: what a VAE's latent variables do."""

from __future__ import annotations

from typing import Any

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, number_option
from latentmap.cli.kinds import Reference
from latentmap.cli.options import (
    batch_size_option,
    device_option,
    json_option,
    precision_option,
    seed_option,
)
from latentmap.cli.output import show_result
from latentmap.cli.unseen import tell_seen, unseen_images, unseen_option


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=Reference())
@data_options
@unseen_option
@number_option(
    "--gain-images",
    help="On how many random images information gains are measured: each takes as many decodes as "
    "there are variables.  [default: chosen]",
)
@seed_option
@device_option
@precision_option
@batch_size_option
@json_option
def diagnose(
    model: str,
    data: DataOptions,
    *,
    unseen: bool,
    gain_images: int | None,
    seed: int,
    device: str,
    precision: Any,
    batch_size: int | None,
    as_json: bool,
) -> None:
    """Measure a VAE on images: what its variables do, the laws of variance.

    A variable is active when its posterior mean has a variance above 0.05; other definitions stand
    beside. The law is mean s2 + Var = 1 for every variable, as `latentmap models normalise` makes
    it; the variance loss is about the mse. The gain of a variable is what an image loses, in mse,
    when it is set to its mean. All with 95 % intervals over images, in --json.

    \b
    Example:
      latentmap diagnose vae.safetensors --data t10k-images-idx3-ubyte.gz
    """
    from latentmap.cli.output import print_json, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.diagnostics import diagnose as measure
    from latentmap.encoders import load
    from latentmap.model import count_seen

    loaded = load(model, device=device)
    images = data.open()
    if unseen:
        images = unseen_images(images, [loaded])
    result = measure(
        loaded,
        images,
        gain_images=gain_images,
        precision=precision,
        batch_size=batch_size,
        on_error=data.on_error,
        seed=seed,
        stage=progress_bar,
    )
    warn_skipped(result.skipped)
    n_seen = count_seen([loaded], images.digests, images.groups)
    tell_seen(n_seen, len(images))
    if as_json:
        made = {"model": model, "data": images.fingerprint, "n_seen": n_seen}
        print_json({**made, **result.to_json()})
        return
    show_result(result)
