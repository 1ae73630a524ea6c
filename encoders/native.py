"""Native model files: one safetensors file whose metadata says how to build the model again.

The description holds family, configuration, frame, fingerprint and the record of the training.
Beside the weights the file may have a filter of the images that the model was trained on, since
format 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders import build, require_family
from latentmap.errors import ImageError, ModelError
from latentmap.files import TensorFile, hold_file, reading, reason_of
from latentmap.frames import Frame
from latentmap.model import Model, SeenImages

_FILE = TensorFile(
    kind="model",
    format=2,
    error=ModelError,
    advice="give the path of a model file that `latentmap train` or `latentmap import` made, or "
    "the name of a bundled model (`latentmap models`)",
    elsewhere="`latentmap import --inspect` tells what it is, and whether it can be imported",
)


_SEEN = "seen_images."


@dataclass(frozen=True)
class NativeHeader:
    """What a native model file says about itself; reading it does not read the weights.

    ``n_seen`` is the number of training images that it knows again, None where it does not say.
    """

    family: str
    config: dict[str, Any]
    frame: Frame
    fingerprint: str
    training: dict[str, Any]
    boxes: dict[str, str]
    n_seen: int | None


def save_model(
    model: Model, path: str | Path, *, training: Mapping[str, Any], half: bool = False
) -> None:
    """Writes a model to a native file, whole or not at all; ``training`` is the record of how it
    was made.

    ``half`` writes the weights in float16: of a model that ``halved`` made, without another loss.

    Raises:
        ModelError: ``load`` could not make the model again: its family is not in ``FAMILIES``, or
            makes another model of this configuration and these weights.
        OutputError: the file cannot be written.
    """
    _require_readable(model, path)
    header = {
        "family": model.family,
        "config": model.config,
        "frame": model.frame.to_json(),
        "fingerprint": model.fingerprint,
        "training": dict(training),
        "views": dict(model.boxes),
    }
    weights = model.network.state_dict()
    if half:
        weights = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        }
    if model.seen is not None:
        header["seen"] = {"n": len(model.seen), "fingerprint": model.seen.fingerprint}
        weights |= {_SEEN + name: part for name, part in model.seen.to_tensors().items()}
    _FILE.write(path, weights, header)


def _require_readable(model: Model, path: str | Path) -> None:
    """Refuses a model that nothing could read again once it is written."""
    advice = (
        "a model of your own needs its class in latentmap.encoders.FAMILIES, and a configuration "
        "from which that class makes it"
    )
    try:
        weights = model.network.state_dict()
        again = build(model.family, dict(model.config), frame=model.frame, weights=weights)
        # What a file has to say of every model, whatever its family needs.
        _ = model.config["latent_dim"], model.config["image_shape"]
    except (KeyError, ModelError) as error:
        missing = f"its configuration has no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"{path} is not written, for nothing could read it again: {missing}; {advice}"
        ) from None
    if again.fingerprint != model.fingerprint:
        raise ModelError(
            f"{path} is not written, for nothing could read it again: the family {model.family!r} "
            f"makes another model of this one's configuration and weights; {advice}"
        )


def add_box(path: str | Path, other: Model, box: str) -> None:
    """Writes into a model file which box of the model's images shows what another model sees; the
    rest of the file stays as it is. Several processes may do so at the same time.

    Raises:
        ModelError: it is no model file.
        OutputError: it cannot be written.
    """
    read_header(path)  # Nothing else is held, or waited for.
    with hold_file(path):
        header, weights = _FILE.read(path)
        _parse(path, header)
        boxes = {**header.get("views", {}), other.fingerprint: box}
        described = {key: value for key, value in header.items() if key not in ("kind", "format")}
        _FILE.write(path, weights, {**described, "views": boxes})


def read_header(path: str | Path) -> NativeHeader:
    """What a native model file says about itself.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    return _parse(path, _FILE.read_header(path))


def read_model(path: str | Path) -> tuple[NativeHeader, dict[str, Tensor], SeenImages | None]:
    """What a native model file says about itself, its weights by name, on the CPU, and the images
    that it was trained on, where it knows them; what is stored in float16 is computed with in
    float32.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    header, tensors = _FILE.read(path)
    wide = {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
        if not name.startswith(_SEEN)
    }
    return _parse(path, header), wide, _seen_in(path, header, tensors)


def _seen_in(
    path: str | Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> SeenImages | None:
    if "seen" not in header:
        return None
    parts = {
        name.removeprefix(_SEEN): tensor
        for name, tensor in tensors.items()
        if name.startswith(_SEEN)
    }
    with reading(path, ModelError, "get it again"):
        try:
            return SeenImages.from_tensors(parts, header["seen"].get("fingerprint", ""))
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None


def is_half(path: str | Path) -> bool:
    """Whether a model file holds its weights in float16.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    return any(tensor.dtype == torch.float16 for tensor in _FILE.read(path)[1].values())


def _parse(path: str | Path, header: dict[str, Any]) -> NativeHeader:
    try:
        config, family = header["config"], header["family"]
        require_family(family)
        # What every family has, and what is shown of a model that is not loaded.
        numbers = [config["latent_dim"], *config["image_shape"]]
        if len(numbers) != 4 or not all(type(number) is int for number in numbers):
            raise TypeError("latent_dim is one number, image_shape three")
        if not isinstance(header["training"], dict) or not isinstance(header["fingerprint"], str):
            raise TypeError("the record of the training has names, the fingerprint is a text")
        if not isinstance(config.get("space", ""), str):
            raise TypeError("the space of the codes is a text")
        n_seen = header["seen"]["n"] if "seen" in header else None
        if type(n_seen) not in (int, type(None)):
            raise TypeError("the number of images that it has seen is none")
        return NativeHeader(
            family,
            config,
            Frame.from_json(header["frame"]),
            header["fingerprint"],
            header["training"],
            {str(name): Frame(str(box)).name for name, box in header.get("views", {}).items()},
            n_seen,
        )
    except ModelError as error:
        raise ModelError(f"{path} cannot be used: {error}") from None
    except (AttributeError, KeyError, TypeError, ImageError) as error:
        raise ModelError(
            f"{path} does not describe its model as it should: {reason_of(error)}"
        ) from None
