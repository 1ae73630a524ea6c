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
    """List the bundled models and the model files of a folder, or describe one.

    \b
    Examples:
      latentmap models
      latentmap models list FOLDER
      latentmap models show svae
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models, folder=Path(), as_json=False)


@models.command("list")
@click.argument(
    "folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@json_option
def list_models(folder: Path, as_json: bool) -> None:
    """List the bundled models, which every command knows by name, and the model files of a folder.

    \b
    Example:
      latentmap models list runs
    """
    from latentmap.cli.output import print_json, table
    from latentmap.encoders.bundled import bundled_models
    from latentmap.encoders.native import read_header
    from latentmap.errors import ModelError

    found = [(name, path, read_header(path)) for name, path in bundled_models().items()]
    for path in sorted(folder.glob("[!.]*.safetensors")):
        try:
            found.append((path.name, path, read_header(path)))
        except ModelError:
            continue  # A map, a checkpoint, or somebody else's file.
    if as_json:
        print_json([{"name": name, **_describe(path, header)} for name, path, header in found])
    else:
        rows = [
            (
                name,
                header.family,
                header.config["latent_dim"],
                _size(header),
                header.fingerprint[:12],
            )
            for name, _, header in found
        ]
        click.echo(table(("model", "family", "latent", "images", "fingerprint"), rows))


@models.command()
@click.argument("model")
@json_option
def show(model: str, as_json: bool) -> None:
    """Describe a model: family, spaces, image size, frame, architecture, and how it was made.

    \b
    Examples:
      latentmap models show vae.safetensors
      latentmap models show svae
    """
    from latentmap.cli.output import print_json
    from latentmap.encoders import find
    from latentmap.encoders.native import read_header

    file = find(model)
    header = read_header(file)
    description = _describe(file, header)
    card = file.with_suffix(".md")
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
    if card.exists():
        click.echo(f"  card         {card}")
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
