"""latentmap models: which models are here, and what one of them is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from latentmap.cli.options import json_option


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the native model files of a folder, or describe one.

    \b
    Examples:
      latentmap models
      latentmap models list FOLDER
      latentmap models show vae.safetensors
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models, folder=Path(), as_json=False)


@models.command("list")
@click.argument(
    "folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@json_option
def list_models(folder: Path, as_json: bool) -> None:
    """List the native model files of a folder.

    \b
    Example:
      latentmap models list runs
    """
    from latentmap.cli.output import print_json, table
    from latentmap.encoders.native import read_header
    from latentmap.errors import ModelError

    found = []
    for path in sorted(folder.glob("[!.]*.safetensors")):
        try:
            found.append((path, read_header(path)))
        except ModelError:
            continue  # A map, a checkpoint, or somebody else's file.
    if as_json:
        print_json([_describe(path, header) for path, header in found])
    elif found:
        rows = [
            (
                path.name,
                header.family,
                header.config["latent_dim"],
                _size(header),
                header.fingerprint[:12],
            )
            for path, header in found
        ]
        click.echo(table(("file", "family", "latent", "images", "fingerprint"), rows))
    else:
        click.echo(f"no native model files in {folder}: train one with `latentmap train`", err=True)


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def show(file: Path, as_json: bool) -> None:
    """Describe a model file: family, spaces, image size, frame, architecture, and how it was made.

    \b
    Example:
      latentmap models show vae.safetensors
    """
    from latentmap.cli.output import print_json
    from latentmap.encoders.native import read_header

    header = read_header(file)
    description = _describe(file, header)
    if as_json:
        print_json(description)
        return
    click.echo(f"{file}: {header.family}")
    own, *others = description["spaces"]
    more = f"; also {' and '.join(others)} (--space)" if others else ""
    click.echo(f"  space        {own}, {header.config['latent_dim']} variables{more}")
    click.echo(
        f"  images       {_size(header)}, frame {header.frame.name}, resized by "
        f"{header.frame.resize}"
    )
    click.echo(f"  fingerprint  {header.fingerprint}")
    click.echo("  network")
    for key, value in header.config.items():
        click.echo(f"    {key:<18} {json.dumps(value)}")
    click.echo("  training")
    for key, value in header.training.items():
        click.echo(f"    {key:<18} {json.dumps(value)}")


def _size(header: Any) -> str:
    channels, height, width = header.config["image_shape"]
    return f"{height}x{width} {'grey' if channels == 1 else 'colour'}"


def _describe(path: Path, header: Any) -> dict[str, Any]:
    from latentmap.encoders import SPACES

    # An inverted model is in one of its generator's spaces, and says in which.
    own = header.config.get("space")
    spaces = (own,) if own else SPACES.get(header.family, ("z",))
    return {
        "file": str(path),
        "family": header.family,
        "space": spaces[0],
        "spaces": list(spaces),
        "latent_dim": header.config["latent_dim"],
        "image_shape": header.config["image_shape"],
        "frame": header.frame.to_json(),
        "fingerprint": header.fingerprint,
        "config": header.config,
        "training": header.training,
    }
