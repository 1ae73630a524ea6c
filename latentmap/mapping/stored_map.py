"""A map as its file has it, in arrays: what is shown of it needs no torch, and computes little.

Shapes: ``p`` source variables, ``q`` target variables. All float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from latentmap.codes import Space
from latentmap.errors import MapError
from latentmap.files import TensorFile, reading
from latentmap.frames import Frame
from latentmap.mapping.map_checks import check_map
from latentmap.mapping.patches import Patches

MAP_FILE = TensorFile(kind="map", format=4, error=MapError, advice="make one with `latentmap fit`")
# Of maps of flat codes, of fewer pairs than variables and of more, which earlier versions read.
THIN, OLDER = 3, 2
MOMENTS = "moments."
AGAIN = "make it again with `latentmap fit`"
# What a file says of a map in JSON as it is.
PLAIN = (
    *("method", "settings", "figures", "rank", "condition", "n_pairs"),
    *("source_reference", "target_reference", "record"),
)
_Part = TypeVar("_Part")


@dataclass(frozen=True, eq=False)
class StoredMoments:
    """The moments of the pairs of a map; see ``Moments``."""

    n: float
    mean_x: np.ndarray
    mean_y: np.ndarray
    xx: np.ndarray | None
    xy: np.ndarray
    squares_x: np.ndarray
    squares_y: np.ndarray
    yy: np.ndarray | None = None
    root_x: np.ndarray | None = None
    root_y: np.ndarray | None = None

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> StoredMoments:
        """Those that a file has by these names.

        Raises:
            KeyError: one is missing.
        """
        n = float(arrays["state"].tolist()[0])
        if "root_x" in arrays:
            x, y = arrays["root_x"], arrays["root_y"]
            with np.errstate(all="ignore"):  # Of numbers that are refused then.
                made = {
                    "xy": x.T @ y,
                    "squares_x": np.square(x).sum(0),
                    "squares_y": np.square(y).sum(0),
                }
            means = {name: arrays[name] for name in ("mean_x", "mean_y")}
            return cls(n, **means, xx=None, **made, root_x=x, root_y=y)
        names = ("mean_x", "mean_y", "xx", "xy", "squares_y")
        parts = {name: arrays[name] for name in names}
        return cls(n, **parts, squares_x=parts["xx"].diagonal(), yy=arrays.get("yy"))


@dataclass(frozen=True, eq=False)
class StoredMap:
    """The map ``y = x W + b`` of a file, with all that ``LinearMap`` says of itself."""

    weight: np.ndarray
    bias: np.ndarray
    source: Space
    target: Space
    source_frame: Frame
    target_frame: Frame
    method: str
    rank: int
    condition: float
    n_pairs: int
    train_digests: np.ndarray
    settings: Mapping[str, Any]
    figures: Mapping[str, float]
    moments: StoredMoments | None
    patches: Patches | None
    source_reference: str
    target_reference: str
    record: Mapping[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> StoredMap:
        """The map in a file that ``LinearMap.save`` wrote.

        Raises:
            MapError: the file is missing, cut off, or not a map of latentmap.
        """
        header, arrays = MAP_FILE.read_arrays(path)
        moments = moments_in(arrays)
        with reading(path, MapError, AGAIN):
            found = cls(
                weight=arrays["weight"],
                bias=arrays["bias"],
                **said_in(header),
                moments=StoredMoments.of(moments) if moments else None,
                train_digests=arrays["train_digests"],
            )
            check_map(found)
        return found

    @property
    def penalty(self) -> float | None:
        """The penalty of the method, where it has one."""
        return self.settings.get("penalty")


def said_in(header: Mapping[str, Any]) -> dict[str, Any]:
    """What the description in a file says of a map, by the names that a map has for it.

    Raises:
        KeyError, ValueError, LatentmapError: it does not say all of it.
    """
    # Format 1 had a penalty alone, and no moments.
    known = {"settings": {"penalty": header.get("penalty")}, "figures": {}, **header}
    patches = known.get("patches")
    return {
        "patches": None if patches is None else Patches.from_json(patches),
        "source": Space.from_json(known["source"]),
        "target": Space.from_json(known["target"]),
        "source_frame": Frame.from_json(known["source_frame"]),
        "target_frame": Frame.from_json(known["target_frame"]),
        **{name: known[name] for name in PLAIN},
    }


def moments_in(tensors: Mapping[str, _Part]) -> dict[str, _Part]:
    """What a file holds of moments, by name."""
    names = [name for name in tensors if name.startswith(MOMENTS)]
    return {name.removeprefix(MOMENTS): tensors[name] for name in names}
