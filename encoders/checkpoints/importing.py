"""Foreign checkpoints as models: what is in a file, and the model that it becomes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentmap.encoders import build
from latentmap.encoders.checkpoints.conversion import Network, Recognised
from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.encoders.checkpoints.formats import recognise
from latentmap.encoders.checkpoints.keras_split_vae import read_keras_split_vae
from latentmap.errors import CheckpointError, ModelError
from latentmap.frames import Frame
from latentmap.model import Model

_LONGEST_HEADER = 100_000_000  # By the format of safetensors.
_BLOCK = 2**20


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A foreign file whose format is known; its numbers are read when it is converted.

    ``container`` is how the file keeps its values; ``unknown`` are the classes and functions that
    it refers to and that stand for no data: names, kept and never looked up.
    """

    path: Path
    size: int
    sha256: str
    container: str
    unknown: tuple[str, ...]
    recognised: Recognised

    def describe(self) -> dict[str, Any]:
        """All of it as JSON: networks with the shapes of their tensors, options, digests, names."""
        networks = [_describe(network) for network in self.recognised.networks]
        return {
            "file": str(self.path),
            "size": self.size,
            "sha256": self.sha256,
            "container": self.container,
            "format": self.recognised.format,
            "networks": networks,
            "options": dict(self.recognised.options),
            "unknown": list(self.unknown),
        }


def inspect_checkpoint(path: str | Path) -> Checkpoint:
    """What a foreign checkpoint holds, by its content; nothing in it is imported or called.

    Raises:
        CheckpointError: the file is missing, broken, or of no known format.
    """
    path = Path(path)
    _refuse_native(path)
    with _named(path):
        return _inspect(path)


def import_checkpoint(
    path: str | Path, *, frame: Frame | None = None
) -> tuple[Model, dict[str, Any]]:
    """The model in a foreign checkpoint, and the record of where it comes from (JSON).

    ``frame`` is what the model sees of an image, which no checkpoint says; by default all of it.

    Raises:
        CheckpointError: the file is missing, broken, of no known format, or holds no network that
            can be converted.
    """
    path = Path(path)
    checkpoint = inspect_checkpoint(path)
    with _named(path):
        converted = checkpoint.recognised.convert()
    try:
        model = build(
            converted.family,
            converted.config,
            name=path.stem,
            frame=frame,
            weights=converted.weights,
        )
    except ModelError as error:
        raise CheckpointError(f"{path} holds weights that do not fit together: {error}") from None
    record = {
        "imported": {
            "file": path.name,
            "sha256": checkpoint.sha256,
            "format": checkpoint.recognised.format,
            "notes": list(converted.notes),
        }
    }
    return model, record


def _inspect(path: Path) -> Checkpoint:
    container: str = "hdf5"
    unknown: tuple[str, ...] = ()
    recognised = read_keras_split_vae(path)
    if recognised is None:
        file = open_foreign(path)
        container = f"{file.container}, protocol {file.protocol}"
        unknown = file.unknown
        recognised = recognise(file)
    return Checkpoint(path, path.stat().st_size, _digest(path), container, unknown, recognised)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Puts the path before errors that do not have it."""
    try:
        yield
    except CheckpointError as error:
        if str(path) in str(error):
            raise
        raise CheckpointError(f"{path}: {error}") from None


def _refuse_native(path: Path) -> None:
    """Refuses what is no file, or is a model file already."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}: give the path of a checkpoint") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    # A safetensors file begins with the length of a JSON object, and that.
    if head[8:] == b"{" and int.from_bytes(head[:8], "little") < _LONGEST_HEADER:
        raise CheckpointError(
            f"{path} is a safetensors file, which needs no import: describe it with `latentmap "
            "models show`"
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _describe(network: Network) -> dict[str, Any]:
    tensors = {name: list(view.shape) for name, view in network.tensors.items()}
    return {
        "name": network.name,
        "kind": network.kind,
        "class": network.class_name,
        "parameters": sum(map(math.prod, tensors.values())),
        "arguments": dict(network.arguments),
        "source_sha256": network.source_sha256,
        "tensors": tensors,
    }
