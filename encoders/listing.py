"""Model files as they are listed and described, without their weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentmap.encoders import find, spaces_of
from latentmap.encoders.bundled import bundled_models
from latentmap.encoders.headers import NativeHeader, read_header
from latentmap.errors import ModelError
from latentmap.files import file_kind

# Where other programs keep checkpoints; the content tells what a file is.
_CHECKPOINTS = frozenset(
    ".bin .ckpt .gguf .h5 .hdf5 .index .keras .onnx .pb .pkl .pt .pth .tar .tflite".split()
)


@dataclass(frozen=True)
class ModelFile:
    """A model file, under the name that it is known by, and what it says of itself."""

    name: str
    path: Path
    header: NativeHeader

    @property
    def spaces(self) -> tuple[str, ...]:
        """The spaces that its codes can be in, its own first."""
        return spaces_of(self.header.family, self.header.config)

    @property
    def card(self) -> Path | None:
        """The card beside the file, where there is one."""
        path = self.path.with_suffix(".md")
        return path if path.exists() else None

    def to_json(self) -> dict[str, Any]:
        """All that the file says."""
        header = self.header
        return {
            "file": str(self.path),
            "family": header.family,
            "space": self.spaces[0],
            "spaces": list(self.spaces),
            "latent_dim": header.config["latent_dim"],
            "image_shape": header.config["image_shape"],
            "frame": header.frame.to_json(),
            "fingerprint": header.fingerprint,
            "config": header.config,
            "training": header.training,
            "n_seen": header.n_seen,
            "prior": header.prior,
        }


@dataclass(frozen=True)
class Listing:
    """The models that were found, and the files that were left out, each with the reason: what
    follows its path in a sentence.
    """

    models: list[ModelFile]
    left_out: list[tuple[Path, str]]


def describe_model(reference: str | Path) -> ModelFile:
    """The file that a reference stands for, a path or the name of a bundled model.

    Raises:
        ModelError: it is missing, or no model file.
    """
    path = find(reference)
    return ModelFile(path.name, path, read_header(path))


def list_models(folder: str | Path) -> Listing:
    """The bundled models, and the model files of a folder; its other files that hold tensors, or
    may be checkpoints, are left out with the reason.
    """
    found = [ModelFile(name, path, read_header(path)) for name, path in bundled_models().items()]
    left_out: list[tuple[Path, str]] = []
    for path in sorted(Path(folder).glob("[!.]*")):
        if path.suffix.lower() == ".safetensors":
            try:
                found.append(describe_model(path))
            except ModelError as error:
                left_out.append((path, str(error).removeprefix(f"{path} ")))
        elif path.suffix.lower() in _CHECKPOINTS and path.is_file():
            left_out.append((path, _no_model(path)))
    return Listing(found, left_out)


def _no_model(path: Path) -> str:
    """Why a file that may be a checkpoint is no model, and what to do with it."""
    try:
        kind = file_kind(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if kind is not None and kind.broken:
        return f"is {kind.what}: {kind.advice}"
    if path.suffix.lower() == ".onnx":
        return f"is no model file: name it `onnx:{path}` in place of a model"
    what = "no model file" if kind is None else f"{kind.what}, no model file"
    return f"is {what}: `latentmap import --inspect` tells whether it can be imported"
