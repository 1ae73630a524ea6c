"""latentmap models: which models are here, and what one of them is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.check import check
from latentmap.cli.declaring import Group
from latentmap.cli.kinds import InputFolder, Reference
from latentmap.cli.normalise import normalise
from latentmap.cli.options import json_option
from latentmap.cli.output import say, show_result
from latentmap.cli.prior import prior
from latentmap.cli.prune import prune

if TYPE_CHECKING:
    from latentmap.encoders.listing import ModelFile


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the bundled models and the model files of a folder, describe or check one, normalise or
    prune it, or give it a prior.

    Model files are your own: what is no longer needed is deleted like any other file.

    \b
    Examples:
      latentmap models
      latentmap models list FOLDER
      latentmap models show svae
      latentmap models check python:mine:load
      latentmap models normalise vae.safetensors --data faces.zip --out new.safetensors
      latentmap models prune vae.safetensors --data faces.zip --out small.safetensors
      latentmap models prior vae --fit mixture:100 --data faces.zip --out mixture.safetensors
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models, folder=Path(), as_json=False)


@models.command("list")
@click.argument(
    "folder",
    default=".",
    metavar="[FOLDER]",
    type=InputFolder(),
)
@json_option
def list_models(folder: Path, as_json: bool) -> None:
    """List the bundled models, which every command knows by name, the model files of a folder, the
    short names in latentmap.toml, and what other packages bring.

    Files that hold tensors or may be checkpoints, but are no models, are named with the reason
    on stderr, with --json too; they are no failure: the exit code is 0.

    \b
    Example:
      latentmap models list runs
    """
    from latentmap.cli.output import print_json
    from latentmap.encoders.listing import list_models as find_models
    from latentmap.encoders.plugins import plugins
    from latentmap.encoders.project import project_models
    from latentmap.report import Table, as_text

    listing = find_models(folder)
    found = listing.models
    for path, reason in listing.left_out:
        say(f"left out: {path.name} {reason}", err=True)
    project = project_models()
    names = [] if project is None else list(project.references.items())
    others = plugins()
    if as_json:
        files = [{"name": file.name, **file.to_json()} for file in found]
        short = [{"name": name, "reference": text} for name, text in names]
        print_json([*files, *short, *(other.to_json() for other in others)])
        return
    rows = [
        [
            file.name,
            file.header.family,
            file.header.config["latent_dim"],
            _size(file),
            file.header.fingerprint[:12],
        ]
        for file in found
    ]
    titles = ("model", "family", "latent", "images", "fingerprint")
    tables = [Table.listed("Models", titles, rows)]
    if project is not None and names:
        tables.append(Table.listed(f"Names in {project.path}", ("model", "stands for"), names))
    if others:
        brought = [
            (other.name, other.package, "" if other.is_there else "its module is missing")
            for other in others
        ]
        tables.append(
            Table.listed("Families and schemes of other packages", ("name", "package", ""), brought)
        )
    show_result(as_text(tables))


@models.command()
@click.argument("model", metavar="MODEL", type=Reference())
@json_option
def show(model: str, as_json: bool) -> None:
    """Describe a model: family, spaces, image size, frame, architecture, and how it was made.

    \b
    Examples:
      latentmap models show vae.safetensors
      latentmap models show svae
      latentmap models show diffusers:folder
    """
    from latentmap.cli.output import print_json
    from latentmap.codes.code_readers import is_code_file
    from latentmap.encoders.listing import describe_model
    from latentmap.encoders.references import parse_reference

    given = parse_reference(model)
    if given.scheme is not None or is_code_file(given.name):
        from latentmap.cli.model_text import show_loaded
        from latentmap.encoders import load

        show_loaded(model, load(model), as_json=as_json)
        return
    given.take_options()
    file = describe_model(given.name)
    if as_json:
        print_json(file.to_json())
        return
    header = file.header
    say(f"{file.path}: {header.family}")
    own, *others = file.spaces
    more = f"; also {' and '.join(others)} (--space)" if others else ""
    shape = header.config.get("latent_shape", [])
    grid = f"{'x'.join(map(str, shape))}: " if len(shape) > 1 else ""
    say(f"  space        {own}, {grid}{header.config['latent_dim']} variables{more}")
    say(
        f"  images       {_size(file)}, frame {header.frame.name}, resized by {header.frame.resize}"
    )
    say(f"  fingerprint  {header.fingerprint}")
    known = "not known" if header.n_seen is None else f"{header.n_seen:,} images, known again"
    say(f"  trained on   {known}")
    if header.prior is not None:
        say(f"  prior        {header.prior['words']}")
    if file.card is not None:
        say(f"  card         {file.card}")
    say("  network")
    for key, value in header.config.items():
        said = ", by which maps and codes know the space" * (key == "generator_fingerprint")
        say(f"    {key:<18} {json.dumps(value)}{said}")
    say("  training")
    for key, value in header.training.items():
        say(f"    {key:<18} {json.dumps(value)}")


models.add_command(check)
models.add_command(normalise)
models.add_command(prune)
models.add_command(prior)


def _size(file: ModelFile) -> str:
    channels, height, width = file.header.config["image_shape"]
    return f"{height}x{width} {'grey' if channels == 1 else 'colour'}"
