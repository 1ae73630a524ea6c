"""Foreign checkpoints as models: what is in a file, and the model that it becomes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from latentmap.encoders import build
from latentmap.encoders.checkpoints.array_files import read_arrays
from latentmap.encoders.checkpoints.conversion import UNKNOWN, Network, Recognised
from latentmap.encoders.checkpoints.foreign import ForeignFile, open_foreign
from latentmap.encoders.checkpoints.formats import recognise
from latentmap.encoders.checkpoints.keras_split_vae import (
    read_bundled_split_vae,
    read_keras_split_vae,
)
from latentmap.encoders.checkpoints.outlines import outline
from latentmap.encoders.checkpoints.safetensors_files import open_safetensors
from latentmap.encoders.checkpoints.tensorflow_bundle import Bundle, find_bundle, read_bundle
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.native import read_header
from latentmap.errors import CheckpointError, ModelError
from latentmap.files.kinds import (
    CHECKPOINTS,
    HDF5,
    KERAS_ARCHIVE,
    NUMPY,
    SAFETENSORS,
    TABLE,
    ZIP,
    FileKind,
    file_kind,
)
from latentmap.frames import Frame
from latentmap.model import Model

_BLOCK = 2**20
_NOTHING = Unsaid()


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A foreign file whose contents are known; its numbers are read when it is converted.

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

    def prospect(self) -> dict[str, Any]:
        """What an import would make of it, as JSON: family, sizes and notes of the model, or the
        reason why there would be none. Found by doing it, once: the numbers are read.
        """
        try:
            model, notes = _make(self, None, _NOTHING)
        except CheckpointError as error:
            reason = str(error).removeprefix(f"{self.path}: ")
            reason = reason.replace(f"{self.path} ", "it ", 1)
            return {"possible": False, "reason": reason}
        return {
            "possible": True,
            "family": model.family,
            "space": str(model.space),
            "image_shape": list(model.image_shape),
            "notes": list(notes),
        }


def inspect_checkpoint(path: str | Path) -> Checkpoint:
    """What a foreign checkpoint holds, by its content; nothing in it is imported or called.

    ``path`` is a file; for a checkpoint of TensorFlow also the prefix of its files, and for a
    SavedModel its folder. A file that can be read is described even when it cannot be imported.

    Raises:
        CheckpointError: the file is missing, broken, or no checkpoint.
    """
    path = Path(path)
    with _named(path):
        return _inspect(path)


def import_checkpoint(
    path: str | Path,
    *,
    decoder: str | Path | None = None,
    frame: Frame | None = None,
    unsaid: Unsaid = _NOTHING,
) -> tuple[Model, dict[str, Any]]:
    """The model in a foreign checkpoint, and the record of where it comes from (JSON).

    ``decoder`` is the file of the decoder, where ``path`` is that of an encoder alone.
    ``frame`` is what the model sees of an image, which no checkpoint says; by default all of it.
    ``unsaid`` is what some checkpoints leave open; what is assumed in its place is noted in the
    record.

    Raises:
        CheckpointError: the file is missing, broken, of no known format, or holds no network that
            can be converted; ``unsaid`` gives what the file does not leave open; or the decoder
            does not fit.
    """
    path = Path(path)
    checkpoint = inspect_checkpoint(path)
    record: dict[str, Any] = {
        "file": path.name,
        "sha256": checkpoint.sha256,
        "format": checkpoint.recognised.format,
    }
    if decoder is not None:
        other = inspect_checkpoint(decoder)
        record["decoder"] = {"file": other.path.name, "sha256": other.sha256}
        checkpoint = _with_decoder(checkpoint, other)
    with _named(path):
        model, notes = _make(checkpoint, frame, unsaid)
    return model, {"imported": {**record, "notes": list(notes)}}


def _with_decoder(checkpoint: Checkpoint, other: Checkpoint) -> Checkpoint:
    """A checkpoint of an encoder, together with that of its decoder."""
    for one in (other, checkpoint):
        if one.recognised.halves is None:
            with _named(one.path):
                one.recognised.converted(_NOTHING)  # What is no model at all says so.
                raise CheckpointError(
                    f"it is of {one.recognised.format}, which is no encoder or decoder alone: "
                    "leave --decoder out"
                )
    recognised = checkpoint.recognised
    assert recognised.halves is not None and other.recognised.halves is not None
    with _named(checkpoint.path):
        joined = recognised.halves.with_decoder(other.recognised.halves, str(other.path))
    networks = (*recognised.networks, *other.recognised.networks)
    return replace(checkpoint, recognised=joined.recognised(recognised.format, networks))


def _make(
    checkpoint: Checkpoint, frame: Frame | None, unsaid: Unsaid
) -> tuple[Model, tuple[str, ...]]:
    """The model in a checkpoint, and what had to be assumed."""
    converted = checkpoint.recognised.converted(unsaid)
    try:
        model = build(
            converted.family,
            converted.config,
            name=checkpoint.path.stem,
            frame=frame,
            weights=converted.weights,
        )
    except ModelError as error:
        raise CheckpointError(
            f"{checkpoint.path} holds weights that do not fit together: {error}"
        ) from None
    return model, converted.notes


def _inspect(path: Path) -> Checkpoint:
    index = find_bundle(path)
    kind = _kind(index or path)
    if index is not None and kind in (None, TABLE):
        return _inspect_bundle(index)
    if kind in (HDF5, KERAS_ARCHIVE):
        return _checkpoint(path, (path,), kind.name, _keras_or_arrays(path, kind))
    if kind is not None and kind.name == NUMPY:
        return _checkpoint(path, (path,), kind.name, read_arrays(path, kind))
    if kind == SAFETENSORS:
        file, own = open_safetensors(path)
        container = kind.name
        recognised = _recognise(file) if own is None else _own(file, own)
    else:
        file = open_foreign(path)
        container = f"{file.container}, protocol {file.protocol}"
        recognised = _recognise(file)
    return _checkpoint(path, (path,), container, recognised, file.unknown)


def _keras_or_arrays(path: Path, kind: FileKind) -> Recognised:
    """What Keras saved, or any other HDF5 file, which is described."""
    refusal = None
    try:
        found = read_keras_split_vae(path)
        if found is not None:
            return found
    except CheckpointError as error:
        refusal = error
    if kind == HDF5:
        try:
            return read_arrays(path, kind, refusal)
        except CheckpointError:
            if refusal is None:
                raise
    raise refusal or CheckpointError(
        f"{path} is {kind.what}, but neither a whole Keras model nor Keras weights in HDF5"
    )


def _inspect_bundle(index: Path) -> Checkpoint:
    bundle = read_bundle(index)
    recognised = read_bundled_split_vae(index, bundle)
    if recognised is None:
        recognised = _unknown_bundle(index, bundle)
    return _checkpoint(index, bundle.files, "TensorFlow bundle", recognised)


def _unknown_bundle(index: Path, bundle: Bundle) -> Recognised:
    """A checkpoint of no Keras model, which is described, and refused when it is converted."""

    def refuse() -> NoReturn:
        raise CheckpointError(
            f"{index} is a TensorFlow checkpoint of {len(bundle.variables)} variables, but none of "
            "a Keras model: its layers cannot be told"
        )

    tensors = {name: variable.view for name, variable in bundle.variables.items()}
    networks = (Network("variables", UNKNOWN, tensors),) if tensors else ()
    return Recognised("TensorFlow checkpoint", networks, refuse)


def _checkpoint(
    path: Path,
    files: Sequence[Path],
    container: str,
    recognised: Recognised,
    unknown: tuple[str, ...] = (),
) -> Checkpoint:
    size = sum(file.stat().st_size for file in files)
    return Checkpoint(path, size, _digest(files), container, unknown, recognised)


def _recognise(file: ForeignFile) -> Recognised:
    """What the file is; one of no known format is described, and refused when it is converted."""
    try:
        return recognise(file)
    except CheckpointError as refusal:
        return outline(file, refusal)


def _own(file: ForeignFile, kind: str) -> Recognised:
    """A file of latentmap's own, which is described, and needs no import."""
    path = file.path
    refusal = CheckpointError(f"{path} is a {kind} of latentmap, and no checkpoint")
    if kind == "model":
        try:
            read_header(path)
            refusal = CheckpointError(
                f"{path} is a model of latentmap already, which needs no import: every command "
                "takes it as it is"
            )
        except ModelError as error:
            refusal = CheckpointError(str(error))
    return replace(outline(file, refusal), format=f"a {kind} of latentmap")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Puts the path before errors that do not have it."""
    try:
        yield
    except CheckpointError as error:
        if str(path) in str(error):
            raise
        raise CheckpointError(f"{path}: {error}") from None


def _kind(path: Path) -> FileKind | None:
    """What a file is; None where its first bytes do not say.

    Raises:
        CheckpointError: it is missing, cannot be read, or is no checkpoint.
    """
    try:
        kind = file_kind(path)
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}: give the path of a checkpoint") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    if kind in (None, *CHECKPOINTS, SAFETENSORS, ZIP) or kind.name == NUMPY:
        return kind
    what = kind.what if kind.broken else f"{kind.what}, and no checkpoint that can be imported"
    raise CheckpointError(f"{path} is {what}: {kind.advice or 'give the path of a checkpoint'}")


def _digest(paths: Sequence[Path]) -> str:
    """The digest of one file, or of several in a row."""
    digest = hashlib.sha256()
    for path in paths:
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
        "types": {name: view.type_name for name, view in network.tensors.items()},
        "guess": network.guess,
    }
