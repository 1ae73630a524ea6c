"""The file of a map: one safetensors file whose description says what the map is.

Nothing of a file is believed: types, shapes and numbers are checked before there is a map.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentmap.codes import Space
from latentmap.errors import MapError
from latentmap.files import TensorFile, reading
from latentmap.frames import Frame
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.moments import Moments

_FILE = TensorFile(kind="map", format=2, error=MapError, advice="make one with `latentmap fit`")
_MOMENTS = "moments."
_LARGEST = 2**63
# What a file says of a map in JSON as it is.
_PLAIN = (
    *("method", "settings", "figures", "rank", "condition", "n_pairs"),
    *("source_reference", "target_reference", "record"),
)


def write_map(linear_map: LinearMap, path: str | Path) -> None:
    """Writes a map, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    header = {
        "source": asdict(linear_map.source),
        "target": asdict(linear_map.target),
        "source_frame": linear_map.source_frame.to_json(),
        "target_frame": linear_map.target_frame.to_json(),
        **{name: getattr(linear_map, name) for name in _PLAIN},
    }
    tensors = {
        "weight": linear_map.weight,
        "bias": linear_map.bias,
        "train_digests": torch.from_numpy(np.ascontiguousarray(linear_map.train_digests)),
    }
    if linear_map.moments is not None:
        parts = linear_map.moments.tensors()
        tensors |= {f"{_MOMENTS}{name}": part for name, part in parts.items()}
    _FILE.write(Path(path), tensors, header)


def read_map(path: str | Path) -> LinearMap:
    """The map in a file that ``write_map`` wrote.

    Raises:
        MapError: the file is missing, cut off, or not a map of latentmap.
    """
    header, tensors = _FILE.read(Path(path))
    # Format 1 had a penalty alone, and no moments.
    header = {"settings": {"penalty": header.get("penalty")}, "figures": {}, **header}
    names = [name for name in tensors if name.startswith(_MOMENTS)]
    moments = {name.removeprefix(_MOMENTS): tensors[name] for name in names}
    with reading(path, MapError, "make it again with `latentmap fit`"):
        found = LinearMap(
            weight=tensors["weight"],
            bias=tensors["bias"],
            source=Space.from_json(header["source"]),
            target=Space.from_json(header["target"]),
            source_frame=Frame.from_json(header["source_frame"]),
            target_frame=Frame.from_json(header["target_frame"]),
            moments=Moments.from_tensors(moments) if moments else None,
            train_digests=tensors["train_digests"].numpy(),
            **{name: header[name] for name in _PLAIN},
        )
        _check(found)
    return found


def _is_penalty(found: LinearMap) -> bool:
    penalty = found.penalty if isinstance(found.settings, dict) else None
    return penalty is None or (_is_number(penalty) and 0 <= penalty < math.inf)


def _is_number(value: Any) -> bool:
    """Whether it is a float, or a whole number that fits into one."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= _LARGEST)


def _is_record(record: Any) -> bool:
    """Whether all that is shown, or asked for, of a record is of the type that it should have."""
    if not isinstance(record, dict):
        return False
    texts = [record.get(name, "") for name in ("command", "precision", "group_by")]
    lists = [record.get(name, []) for name in ("selection", "made_of")]
    if not all(isinstance(part, list) for part in lists):
        return False
    chosen, made_of = lists
    return (
        all(isinstance(text, str | None) for text in texts)
        and all(isinstance(part, dict) for part in (*chosen, *made_of))
        and all(_is_number(part.get("n_units") or 0) for part in chosen)
        and all(isinstance(part.get("map"), str) for part in made_of)
    )


def _check(found: LinearMap) -> None:
    """Refuses a map of a file whose parts are not of the types and shapes that they should have.

    Raises:
        ValueError: that is so.
    """
    p, q = found.source.dim, found.target.dim
    wrong = {
        f"the weight must be a ({p}, {q}) matrix": found.weight.shape != (p, q),
        f"the bias must have {q} numbers": found.bias.shape != (q,),
        "weight and bias must be float64 and finite": any(
            part.dtype != torch.float64 or not bool(part.isfinite().all())
            for part in (found.weight, found.bias)
        ),
        "the digests of images must have 16 bytes each": found.train_digests.dtype != np.uint8
        or found.train_digests.shape[1:] != (16,),
        "the moments must be those of its spaces": found.moments is not None
        and not found.moments.fits(p, q),
        "settings, figures and record must be lists of names with values": not all(
            isinstance(part, dict) for part in (found.settings, found.figures, found.record)
        ),
        "the penalty must be a number of at least 0": not _is_penalty(found),
        "its figures must be numbers": not all(
            value is None or _is_number(value) for value in found.figures.values()
        ),
        "its record must say in texts and numbers what made it": not _is_record(found.record),
        "rank and number of pairs must be whole numbers": not all(
            type(number) is int and _is_number(number) for number in (found.rank, found.n_pairs)
        ),
        "the condition must be a number": not _is_number(found.condition),
        "method and models must be texts": not all(
            isinstance(text, str)
            for text in (found.method, found.source_reference, found.target_reference)
        ),
    }
    for said, is_so in wrong.items():
        if is_so:
            raise ValueError(said)
