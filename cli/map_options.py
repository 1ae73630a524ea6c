"""What the commands about maps share: which map, and where its models are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from latentmap.cli.kinds import InputPath, Reference

if TYPE_CHECKING:
    from latentmap.mapping import LinearMap
    from latentmap.model import Model

map_argument: Callable[..., Any] = click.argument("map_path", metavar="MAP", type=InputPath())
src_override = click.option(
    "--src",
    type=Reference(),
    metavar="MODEL",
    help="The source model.  [default: as recorded in the map]",
)
dst_override = click.option(
    "--dst",
    type=Reference(),
    metavar="MODEL",
    help="The target model.  [default: as recorded in the map]",
)


def load_model_of(
    linear_map: LinearMap,
    side: Literal["source", "target"],
    *,
    given: str | None,
    map_path: Path,
    device: str,
) -> Model:
    """The model on one side of a map: the given one, else the recorded one.

    A recorded path that is not found from here is looked for beside the map.

    Raises:
        ModelError: it cannot be loaded.
    """
    from latentmap.encoders import load
    from latentmap.errors import ModelError

    if given is not None:
        return load(given, device=device)
    option = "--src" if side == "source" else "--dst"
    reference = getattr(linear_map, f"{side}_reference")
    if not reference:
        raise ModelError(
            f"{map_path} does not say where its {side} model is: give it with {option}"
        )
    beside = map_path.parent / reference
    if not Path(reference).exists() and beside.exists():
        reference = str(beside)
    try:
        return load(reference, device=device)
    except ModelError as error:
        raise ModelError(
            f"the {side} model that {map_path} names cannot be loaded: {error}; "
            f"or give another with {option}"
        ) from error


def load_models_of(
    linear_map: LinearMap, *, src: str | None, dst: str | None, map_path: Path, device: str
) -> tuple[Model, Model]:
    """The source and the target of a map, as ``load_model_of`` gives each."""
    return (
        load_model_of(linear_map, "source", given=src, map_path=map_path, device=device),
        load_model_of(linear_map, "target", given=dst, map_path=map_path, device=device),
    )
