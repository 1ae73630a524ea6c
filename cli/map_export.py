"""latentmap map export: a map for other programs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import Command
from latentmap.cli.kinds import OutputFile
from latentmap.cli.map_options import map_argument
from latentmap.cli.options import force_option, json_option
from latentmap.cli.output import say
from latentmap.mapping.exporting import FORMATS, Format

if TYPE_CHECKING:
    from latentmap.mapping.stored_map import StoredMap


@click.command(cls=Command)
@map_argument
@click.option(
    "--format",
    required=True,
    type=click.Choice(FORMATS),
    metavar="NAME",
    help=f"What it is for: {', '.join(FORMATS)}; the last two are latent previews, of maps into "
    "pixels:8 and their like.",
)
@click.option(
    "--out",
    type=OutputFile(),
    metavar="FILE",
    help="The file to write.  [default: beside the map, by its name and the format]",
)
@json_option
@force_option
def export(map_path: Path, format: Format, out: Path | None, as_json: bool, force: bool) -> None:
    """Write a map for other programs, which need no latentmap to apply it.

    torch is the state of one layer, with the program that builds it; onnx is a graph of one layer,
    for any number of codes and grids of any size (pip install "latentmap[onnx]"); numpy holds the
    arrays. diffusers and comfyui are previews: from latents to RGB in [-1, 1]. The file says
    between which spaces the map is, and what it loses on images that it was not fitted on.

    \b
    Examples:
      latentmap map export taef2-to-pixels-8.safetensors --format comfyui
      latentmap map export vae-to-svae.safetensors --format onnx --out vae-to-svae.onnx
    """
    from latentmap.cli.output import print_json
    from latentmap.mapping.exported_layers import about
    from latentmap.mapping.exporting import export_map, export_path
    from latentmap.mapping.stored_map import StoredMap

    linear_map = StoredMap.load(map_path)
    path = out or export_path(map_path, format)
    export_map(linear_map, path, format, force=force)
    if as_json:
        print_json({"file": str(path), "format": format, **about(linear_map)})
        return
    say(f"{path}: {linear_map.source} to {linear_map.target}, for {format}")
    say(_error_in_words(linear_map))


def _error_in_words(linear_map: StoredMap) -> str:
    """What is known of it on images that it was not fitted on."""
    from latentmap.mapping.held_out_error import held_out_error
    from latentmap.report.words import images_in_words, with_interval

    error = held_out_error(linear_map)
    if error is None:
        return "no held-out error is known: maps of `latentmap fit` have one"
    said = f"held-out R2 {with_interval(error.r2, 3)}"
    if math.isfinite(error.psnr.value):
        said += f", PSNR {with_interval(error.psnr, 1)} dB"
    return f"{said}, over {images_in_words(error.n_test, error.n_units)}"
