"""Generators: models that make images of codes and have no encoder."""

from __future__ import annotations

from torch import Tensor

from latentmap.encoders.building import BuiltModel
from latentmap.errors import ModelError


class GeneratorModel(BuiltModel):
    """A decoder alone; an inversion network makes an encoder/decoder pair of it."""

    can_encode = False
    is_generator = True

    def _encode(self, images: Tensor) -> Tensor:
        raise ModelError(
            f"{self.name} ({self.family}) only generates images: it has no encoder, so images have "
            "no codes in it; use images that it makes (--samples), or `latentmap train inversion`"
        )
