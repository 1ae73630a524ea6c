"""Which kind of relocation leads from one model to another (Asperti and Tonelli 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from latentmap.model import Model

Kind = Literal[1, 2, 3]

KINDS: dict[Kind, str] = {
    1: "two trainings of one model",
    2: "two models of one class",
    3: "different learning objectives",
}


def kind_of_relocation(source: Model, target: Model) -> Kind:
    """1 for two trainings of the same network, 2 for two models of one class, 3 for models with
    different learning objectives.

    Three objectives are told apart: to show images again that were encoded (VAEs), to make new ones
    (GANs and StyleGANs, with an inversion network or without), and to encode them and show none
    (encoders alone), which are all of one class.
    """
    if (source.is_generator, source.can_decode) != (target.is_generator, target.can_decode):
        return 3
    same = (
        source.family == target.family
        and source.space.kind == target.space.kind
        and _architecture(source.config) == _architecture(target.config)
    )
    return 1 if same else 2


def are_twins(source: Model, target: Model) -> bool:
    """Whether two models are retrainings of one recipe, so that they differ by chance alone: two
    trainings of the same network, on the same images where both know these. The same weights are
    one training.
    """
    if source.fingerprint == target.fingerprint:
        return False
    seen = (source.seen, target.seen)
    if kind_of_relocation(source, target) != 1 or any(
        one is not None and not len(one) for one in seen
    ):
        return False
    if seen[0] is None or seen[1] is None:
        return True
    return np.array_equal(seen[0].counts, seen[1].counts) and np.array_equal(
        seen[0].rests, seen[1].rests
    )


def _architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what says which weights it is for."""
    return {name: value for name, value in config.items() if not name.endswith("fingerprint")}
