"""What the commands about maps share: which map, and where its models are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from latentmap.cli.kinds import InputPath, Reference

if TYPE_CHECKING:
    from latentmap.cli.options import Loading
    from latentmap.codes import Space
    from latentmap.mapping import LinearMap
    from latentmap.model import Model

_SIDES: tuple[Literal["source"], Literal["target"]] = ("source", "target")
_OPTIONS = {"source": "--src", "target": "--dst"}

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
    loading: Loading,
) -> Model:
    """The model on one side of a map: the given one, else the recorded one.

    A recorded path that is not found from here is looked for beside the map.

    Raises:
        ModelError: it cannot be loaded.
    """
    from latentmap.errors import ModelError

    if given is not None:
        return _as_in(loading.one(given), getattr(linear_map, side))
    reference = _recorded(linear_map, side, map_path)
    try:
        return loading.one(reference)
    except ModelError as error:
        raise _refusal(side, map_path, error) from error


def load_models_of(
    linear_map: LinearMap, *, src: str | None, dst: str | None, map_path: Path, loading: Loading
) -> tuple[Model, Model]:
    """The source and the target of a map: the given ones, else the recorded ones.

    Raises:
        ModelError: one cannot be loaded.
    """
    from latentmap.errors import ModelError

    given = {"source": src, "target": dst}
    references = [given[side] or _recorded(linear_map, side, map_path) for side in _SIDES]
    try:
        source, target = loading.all(references)
    except ModelError:
        # Which of the two it is decides what is said.
        for side in _SIDES:
            load_model_of(linear_map, side, given=given[side], map_path=map_path, loading=loading)
        raise
    if src is not None:
        source = _as_in(source, linear_map.source)
    if dst is not None:
        target = _as_in(target, linear_map.target)
    return source, target


def _as_in(model: Model, space: Space) -> Model:
    """A model that was given for one of a map; a file of codes that does not name its space is
    taken to be in that of the map, as whoever gives it says.
    """
    from latentmap.encoders.code_files import StoredCodes

    return model.in_space(space) if isinstance(model, StoredCodes) else model


def models_for_size(
    linear_map: LinearMap, *, src: str | None, dst: str | None, map_path: Path, loading: Loading
) -> tuple[LinearMap, Model, Model]:
    """A map with its source and target; of patches, for images of the size that was asked for.

    Raises:
        LatentmapError: a model cannot be loaded, or one of both cannot be of that size.
    """
    from latentmap.relocation.resizing import resized_map

    found = load_models_of(linear_map, src=src, dst=dst, map_path=map_path, loading=loading)
    size = loading.image_size
    # Recorded references say the size of the fit, which stands before --size.
    if size is None or all(one.image_shape[1:] == size for one in found):
        return linear_map, *found
    return resized_map(linear_map, *found, size)


def _recorded(linear_map: LinearMap, side: str, map_path: Path) -> str:
    """The reference that a map has of the model on one side, as it is found from here.

    Raises:
        ModelError: there is none, or it runs code or is downloaded: the map may be somebody else's.
    """
    from latentmap.encoders.adapters.hub import is_download
    from latentmap.encoders.references import parse_reference
    from latentmap.errors import ModelError

    reference: str = getattr(linear_map, f"{side}_reference")
    if not reference:
        raise ModelError(
            f"{map_path} does not say where its {side} model is: give it with {_OPTIONS[side]}"
        )
    known = parse_reference(reference)
    # A short name stands in a file of whoever is here.
    if known.scheme and reference.startswith(f"{known.scheme}:") and is_download(known):
        raise ModelError(
            f"{map_path} names {reference} as its {side} model, which is not here, and would be "
            f"downloaded: where you know it, give it with {_OPTIONS[side]}"
        )
    if known.scheme == "python":
        raise ModelError(
            f"{map_path} names {reference} as its {side} model, which runs code: where you know "
            f"it, give it with {_OPTIONS[side]}"
        )
    name, question, options = reference.partition("?")
    beside = map_path.parent / name
    if not Path(name).exists() and beside.exists():
        return f"{beside}{question}{options}"
    return reference


def _refusal(side: str, map_path: Path, error: Exception) -> Exception:
    from latentmap.errors import ModelError

    return ModelError(
        f"the {side} model that {map_path} names cannot be loaded: {error}; or give another with "
        f"{_OPTIONS[side]}"
    )
