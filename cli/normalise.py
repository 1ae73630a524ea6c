"""latentmap models normalise: a VAE whose codes keep the law of variance."""

from __future__ import annotations

from pathlib import Path

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, output_option
from latentmap.cli.kinds import Reference
from latentmap.cli.options import device_option, force_option, json_option
from latentmap.cli.output import say, show_result


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=Reference())
@data_options
@output_option("--out", "The model file to write.", required=True)
@force_option
@device_option
@json_option
def normalise(
    model: str, data: DataOptions, out: Path, *, force: bool, device: str, as_json: bool
) -> None:
    """Move and scale the codes of a VAE so that each variable has mean 0 and mean s2 + Var = 1.

    Give the images that it was trained on. The layers beside the code make up for it, so that its
    images stay the same, and those of random codes become better. It is another model: maps and
    cached codes of the old one do not serve it. `latentmap train` does this at its end.

    \b
    Example:
      latentmap models normalise vae.safetensors --data faces.zip --split train \\
          --out new.safetensors
    """
    from latentmap.cli.output import print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders.normalising import prior_left_out
    from latentmap.encoders.renormalising import normalise_file
    from latentmap.report import Cell, Column, Row, Table, as_text

    images = data.open()
    with progress_bar("measuring codes") as progress:
        made = normalise_file(
            model,
            images,
            out,
            device=device,
            on_error=data.on_error,
            force=force,
            progress=progress,
        )
    warn_skipped(made.skipped)
    if made.own_images is False:
        warn(
            f"these {len(images)} images are not exactly those that {model} was trained on (by its "
            "record): over those, the law holds as far as they are alike"
        )
    if made.dropped_prior is not None:
        warn(prior_left_out(out, model, made.dropped_prior))
    if as_json:
        print_json({"model": str(out), **made.to_json()})
        return
    say(f"{out}: {made.model.family} {made.model.fingerprint[:12]}")
    rows: list[list[Cell]] = [
        [words, made.before[key], made.after[key]]
        for words, key in (
            ("|mean s2 + Var - 1|, mean", "law_deviation_mean"),
            ("|mean s2 + Var - 1|, largest", "law_deviation_max"),
            ("|mean|, largest", "mean_max"),
            ("KL of an image, nats", "kl"),
            ("all codes from the prior, nats", "divergence"),
        )
    ]
    columns = [Column(""), Column("before", decimals=4), Column("after", decimals=4)]
    show_result(as_text([Table("Codes", columns, [Row(row) for row in rows])]))
    rounded = " (the weights are rounded to float16)" if made.half else ""
    say(f"largest difference of a pixel: {made.largest_difference:.2g}{rounded}")
