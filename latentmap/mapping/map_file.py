"""The file of a map: one safetensors file whose description says what the map is.

Nothing of a file is believed: types, shapes and numbers are checked before there is a map.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from latentmap.errors import MapError
from latentmap.files import reading
from latentmap.mapping.kept_baselines import baselines_in
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.map_checks import check_map
from latentmap.mapping.moments import Moments
from latentmap.mapping.stored_map import (
    AGAIN,
    MAP_FILE,
    MOMENTS,
    OLDER,
    PLAIN,
    THIN,
    moments_in,
    said_in,
)
from latentmap.mapping.thin_moments import ThinMoments

# Read by the first version that knows them; others leave them alone.
DISTANCES = "source_distances"


def write_map(linear_map: LinearMap, path: str | Path) -> None:
    """Writes a map, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    header = {
        "source": linear_map.source.to_json(),
        "target": linear_map.target.to_json(),
        "source_frame": linear_map.source_frame.to_json(),
        "target_frame": linear_map.target_frame.to_json(),
        **{name: getattr(linear_map, name) for name in PLAIN},
    }
    # As old as can be, so that earlier versions read it.
    if linear_map.patches is not None:
        header["patches"] = linear_map.patches.to_json()
    else:
        header["format"] = THIN if isinstance(linear_map.moments, ThinMoments) else OLDER
    tensors = {
        "weight": linear_map.weight,
        "bias": linear_map.bias,
        "train_digests": torch.from_numpy(np.ascontiguousarray(linear_map.train_digests)),
    }
    if linear_map.moments is not None:
        parts = linear_map.moments.tensors()
        tensors |= {f"{MOMENTS}{name}": part for name, part in parts.items()}
    if linear_map.source_distances is not None:
        tensors[DISTANCES] = linear_map.source_distances
    for one in linear_map.baselines:
        tensors |= one.tensors()
    if linear_map.baselines:
        header["baselines"] = [one.to_json() for one in linear_map.baselines]
    MAP_FILE.write(Path(path), tensors, header)


def read_map(path: str | Path) -> LinearMap:
    """The map in a file that ``write_map`` wrote.

    Raises:
        MapError: the file is missing, cut off, or not a map of latentmap.
    """
    header, tensors = MAP_FILE.read(path)
    moments = moments_in(tensors)
    with reading(path, MapError, AGAIN):
        said = said_in(header)
        found = LinearMap(
            weight=tensors["weight"],
            bias=tensors["bias"],
            **said,
            moments=Moments.from_tensors(moments) if moments else None,
            source_distances=tensors.get(DISTANCES),
            train_digests=tensors["train_digests"].numpy(),
            baselines=baselines_in(header, tensors, said["target"]),
        )
        check_map(found)
    return found
