"""Native model files: one safetensors file whose metadata says how to build the model again.

The metadata holds one key, ``latentmap``: JSON with format version, family, configuration, frame,
fingerprint and the record of the training. Nothing in the file is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.files import write_atomic
from latentmap.frames import Frame
from latentmap.model import Model

FORMAT = 1


@dataclass(frozen=True)
class NativeHeader:
    """What a native model file says about itself; reading it does not read the weights."""

    family: str
    config: dict[str, Any]
    frame: Frame
    fingerprint: str
    training: dict[str, Any]


def save_model(model: Model, path: Path, *, training: Mapping[str, Any]) -> None:
    """Writes a model to a native file, whole or not at all; ``training`` is the record of how it
    was made.
    """
    header = {
        "format": FORMAT,
        "kind": "model",
        "family": model.family,
        "config": model.config,
        "frame": model.frame.to_json(),
        "fingerprint": model.fingerprint,
        "training": dict(training),
    }
    tensors = {key: tensor.cpu().contiguous() for key, tensor in model.network.state_dict().items()}
    # In memory first: safetensors reports a full disk as an error of its own kind.
    write_atomic(path, save(tensors, {"latentmap": json.dumps(header, sort_keys=True)}))


def read_header(path: Path) -> NativeHeader:
    """What a native model file says about itself.

    Raises:
        ModelError: the file is missing, cut off, or not a model file of latentmap.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise ModelError(
            f"there is no model file {path}: give the path of a native model file"
        ) from None
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is no readable safetensors file: it is cut off or of another kind ({error})"
        ) from None
    try:
        header = json.loads(metadata["latentmap"])
        if header["kind"] != "model":
            raise ModelError(
                f"{path} holds a {header['kind']}, not a model: give the path of a model file"
            )
        if header["format"] > FORMAT:
            raise ModelError(
                f"{path} has format {header['format']}, newer than {FORMAT}: update latentmap"
            )
        return NativeHeader(
            header["family"],
            header["config"],
            Frame.from_json(header["frame"]),
            header["fingerprint"],
            header["training"],
        )
    except (KeyError, TypeError, json.JSONDecodeError):
        raise ModelError(
            f"{path} is a safetensors file, but no model of latentmap: train one with `latentmap "
            "train`"
        ) from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, on the CPU."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"the weights in {path} cannot be read: {error}") from None
