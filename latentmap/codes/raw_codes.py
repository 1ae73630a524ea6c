"""Codes as a file holds them: rows of some type of floats, and which of several arrays they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from latentmap.printing import printable

_LISTED = 10


class RawRows(Protocol):
    """Rows ``(n, ...)`` of numbers, read when they are indexed."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, index: Any, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class RawCodes:
    """What a reader finds: ``rows`` ``(n, ...)`` of floats, ``ids`` ``(n,)`` as text where there
    are some, and the JSON text of what made them, where a file of ours has it.
    """

    rows: RawRows
    ids: np.ndarray | None
    provenance: str = "{}"


class Float32Rows:
    """The rows of a file as codes are: float32 ``(n, d)``."""

    def __init__(self, raw: RawRows) -> None:
        self._raw = raw
        self.shape = (raw.shape[0], math.prod(raw.shape[1:]))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop``."""
        return self._as_codes(self._raw[start:stop])

    def take(self, index: np.ndarray) -> np.ndarray:
        """The rows at ``index``, in that order."""
        rising, places = np.unique(index, return_inverse=True)
        if len(rising) == len(index) and np.array_equal(rising, index):
            return self._as_codes(self._raw[index])
        # Datasets take rising positions only.
        return self._as_codes(self._raw[rising])[places]

    def _as_codes(self, rows: np.ndarray) -> np.ndarray:
        # What is too large becomes infinite, and is refused as that.
        with np.errstate(over="ignore"):
            return rows.reshape(-1, self.shape[1]).astype(np.float32, copy=False)


def chosen_codes(arrays: Mapping[str, tuple[np.dtype[Any], int]], key: str | None) -> str:
    """Which array holds the codes, of the types and numbers of axes of all: the one called ``key``;
    else ``codes``, or the only one of floats with two axes or more.

    Raises:
        ValueError: there is none, there are several, or they are no real numbers.
    """
    if key is None:
        fitting = [name for name, (kind, axes) in arrays.items() if kind.kind == "f" and axes > 1]
        if "codes" in arrays:
            key = "codes"
        elif len(fitting) == 1:
            key = fitting[0]
        elif fitting:
            raise ValueError(f"it holds {listed(fitting)}: say which, as FILE?codes=NAME")
        elif len(arrays) != 1:
            raise ValueError(
                f"it holds no floats of shape (n, d), but {listed(arrays) or 'nothing'}"
            )
        else:
            (key,) = arrays
    if key not in arrays:
        raise ValueError(f"it has no {key!r}, but {listed(arrays) or 'nothing'}")
    kind, axes = arrays[key]
    require_floats(kind)
    if axes < 2:
        raise ValueError(f"codes have shape (n, d) or more axes, not {axes}")
    return key


def name_of_ids(names: list[str], key: str | None) -> str | None:
    """Which array holds the ids: the one called ``key``, else ``ids``, else None.

    Raises:
        ValueError: there is none called ``key``.
    """
    if key is None:
        return "ids" if "ids" in names else None
    if key not in names:
        raise ValueError(f"it has no {key!r} to take ids from, but {listed(names) or 'nothing'}")
    return key


def require_floats(dtype: np.dtype[Any]) -> None:
    """Refuses codes that are no real numbers of floating point.

    Raises:
        ValueError: that is so.
    """
    if dtype.kind == "f":
        return
    reason = {
        "O": "Python objects, which are never unpacked",
        "c": f"complex ({dtype}): save real and imaginary parts as numbers of their own",
        "i": f"whole numbers ({dtype}): if they are codes, save them as float32",
        "u": f"whole numbers ({dtype}): if they are codes, save them as float32",
    }.get(dtype.kind, f"{dtype}")
    raise ValueError(f"codes are floats, and these are {reason}")


def as_ids(values: np.ndarray) -> np.ndarray:
    """Ids as text ``(n,)``, of texts or whole numbers.

    Raises:
        ValueError: they are of another type, or no row.
    """
    if values.ndim != 1 or values.dtype.kind not in "USiu":
        raise ValueError(
            f"ids are one text or whole number for each row, not {values.dtype} of shape "
            f"{values.shape}"
        )
    if values.dtype.kind == "S":
        from latentmap.codes.ids import unpack_ids

        return unpack_ids(values)
    return values.astype(np.str_)


def listed(names: Mapping[str, Any] | list[str]) -> str:
    """The names of arrays, for a message."""
    known = sorted(names)
    more = f" and {len(known) - _LISTED:,} more" if len(known) > _LISTED else ""
    return printable(", ".join(known[:_LISTED])) + more
