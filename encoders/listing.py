"""Model files as they are listed and described, without their weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentmap.encoders import SPACES, find
from latentmap.encoders.bundled import bundled_models
from latentmap.encoders.native import NativeHeader, read_header
from latentmap.errors import ModelError


@dataclass(frozen=True)
class ModelFile:
    """A model file, under the name that it is known by, and what it says of itself."""

    name: str
    path: Path
    header: NativeHeader

    @property
    def spaces(self) -> tuple[str, ...]:
        """The spaces that its codes can be in, its own first."""
        # An inverted model is in one of its generator's spaces, and says in which.
        own = self.header.config.get("space")
        return (own,) if own else SPACES.get(self.header.family, ("z",))

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
        }


def describe_model(reference: str | Path) -> ModelFile:
    """The file that a reference stands for, a path or the name of a bundled model.

    Raises:
        ModelError: it is missing, or no model file.
    """
    path = find(reference)
    return ModelFile(path.name, path, read_header(path))


def list_models(folder: str | Path) -> list[ModelFile]:
    """The bundled models, and the model files of a folder; other files there are passed over."""
    found = [ModelFile(name, path, read_header(path)) for name, path in bundled_models().items()]
    for path in sorted(Path(folder).glob("[!.]*.safetensors")):
        try:
            found.append(describe_model(path))
        except ModelError:
            continue  # A map, a checkpoint, or somebody else's file.
    return found
