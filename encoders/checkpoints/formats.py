"""The formats of pickles and of ``torch.save`` that are known, and which of them a file has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentmap.encoders.checkpoints import (
    genforce,
    nvlabs,
    rosinality,
    stylegan1_ports,
    tensorflow,
)
from latentmap.encoders.checkpoints.conversion import Recognised
from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.modules import named
from latentmap.encoders.checkpoints.values import Record
from latentmap.errors import CheckpointError

_OUTLINE = 8

# What is known -> the recogniser. Each looks at the content, never at the file's name, for tensors
# that no other format has.
FORMATS: dict[str, Callable[[ForeignFile], Recognised | None]] = {
    nvlabs.FORMAT: nvlabs.recognise_nvlabs,
    tensorflow.FORMAT: tensorflow.recognise_tensorflow,
    rosinality.FORMAT: rosinality.recognise_rosinality,
    genforce.FORMAT: genforce.recognise_genforce,
    stylegan1_ports.FORMAT: stylegan1_ports.recognise_stylegan1_port,
}


def recognise(file: ForeignFile) -> Recognised:
    """What the file is and holds, by the first format that fits.

    Raises:
        CheckpointError: none does.
    """
    for recogniser in FORMATS.values():
        recognised = recogniser(file)
        if recognised is not None:
            return recognised
    raise CheckpointError(
        f"{file.path} is of no known format: it holds {_outline(file.value)}; known are "
        f"{'; '.join(FORMATS)}"
    )


def _outline(value: Any) -> str:
    """What stands at the file's top level, in a few words."""
    if isinstance(value, Record):
        return f"an object of {shown(value.name)}"
    names = list(named(value))
    if not names:
        return f"a {type(value).__name__}"
    more = ", ..." if len(names) > _OUTLINE else ""
    return f"a dictionary with {', '.join(map(shown, names[:_OUTLINE]))}{more}"
