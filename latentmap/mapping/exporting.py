"""Exports: a map as what other programs take, without latentmap.

    numpy        .npz: weight, bias and shapes
    torch        .safetensors: the state of one Linear or Conv2d, and how to build it
    onnx         .onnx: a graph of one layer
    diffusers    .safetensors: a latent preview, the state of one Conv2d from latents to RGB
    comfyui      .json: a latent preview, `latent_rgb_factors` and its bias

Each carries, as JSON, between which spaces the map is, how it was fitted, and what it loses on
images that it was not fitted on. How a format is made is imported when it is first asked for, so
that a command can list them without NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from latentmap.errors import MapError

if TYPE_CHECKING:
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.mapping.stored_map import StoredMap

Format = Literal["torch", "onnx", "numpy", "diffusers", "comfyui"]
FORMATS: tuple[Format, ...] = get_args(Format)


class _Kind(NamedTuple):
    """The suffix of files of a format, and ``module:function`` that makes their bytes of a map."""

    suffix: str
    made_by: str


_KINDS: dict[str, _Kind] = {
    "torch": _Kind(".safetensors", "exported_layers:torch_bytes"),
    "onnx": _Kind(".onnx", "exported_graphs:onnx_bytes"),
    "numpy": _Kind(".npz", "exported_layers:numpy_bytes"),
    "diffusers": _Kind(".safetensors", "exported_previews:diffusers_bytes"),
    "comfyui": _Kind(".json", "exported_previews:comfyui_bytes"),
}


def export_path(map_path: Path, format: Format) -> Path:
    """Where an export goes unless something else is said: beside the map.

    Example:
        >>> export_path(Path("vae-to-svae.safetensors"), "numpy").name
        'vae-to-svae-numpy.npz'
    """
    return map_path.with_name(f"{map_path.stem}-{format}{_KINDS[format].suffix}")


def export_map(
    linear_map: LinearMap | StoredMap, path: str | Path, format: Format, *, force: bool = False
) -> None:
    """Writes a map for other programs, whole or not at all.

    Raises:
        MapError: there is no such format, or none of such a map; or a library is missing.
        OutputError: the path exists without ``force``, or cannot be written.
    """
    from latentmap.files import refuse_existing, write_atomic

    if format not in _KINDS:
        raise MapError(f"a map is exported as one of {', '.join(FORMATS)}, not {format!r}")
    refuse_existing(path, force=force)
    module, _, function = _KINDS[format].made_by.partition(":")
    make: Callable[[Any], bytes] = getattr(import_module(f"latentmap.mapping.{module}"), function)
    write_atomic(Path(path), make(linear_map))
