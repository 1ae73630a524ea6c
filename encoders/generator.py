"""Generators: models that make images of codes and have no encoder."""

from __future__ import annotations

from latentmap.encoders.building import BuiltModel


class GeneratorModel(BuiltModel):
    """A decoder alone; an inversion network makes an encoder/decoder pair of it."""

    can_encode = False
    is_generator = True
