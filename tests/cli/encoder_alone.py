"""A model that encodes and makes no images, as a scheme for tests of commands."""

from latentmap.encoders.references import Given
from latentmap.model import Model
from latentmap.model.testing import LinearModel

SCHEMES = {"seer": "tests.cli.encoder_alone:load_seer"}


class Seer(LinearModel):
    """An exact encoder without a decoder."""

    family = "seer-test"
    can_decode = False
    _decode = Model._decode


def load_seer(given: Given) -> Seer:
    """``seer:1`` sees grey images of 8x8; the number is its seed."""
    return Seer(6, (1, 8, 8), seed=int(given.name), name=given.text)
