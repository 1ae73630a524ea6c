"""Codes: the vectors of one space, row by row with the ids of their images.

Shapes: ``n`` images, ``d`` latent variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from latentmap.errors import SpaceError
from latentmap.frames import Frame
from latentmap.report import Cell, Shown, Table

if TYPE_CHECKING:
    import torch
    from pandas import DataFrame

# The kind of a space whose codes are pixels in [0, 1].
PIXELS = "pixels"
_NAMED = 3  # Images.
# Rows at a time, where they are not said, and the numbers that these have at most.
_BLOCK, _NUMBERS = 8192, 1 << 23
_MOST_AXES = 8  # Of a code, in a file.


@dataclass(frozen=True)
class Space:
    """A code space: its kind, its size, and the model that it belongs to.

    The kind is ``z`` (with a normal prior of variance 1), ``w`` or ``w+``, ``pixels`` (numbers in
    [0, 1]), ``codes`` (of a file), or ``latent``: any other, of whose scale nothing is said.

    ``model`` is the name that people read; ``fingerprint`` is the sha256 of the model's weights and
    configuration, and alone decides whether two spaces are the same. ``shape`` is ``(dim,)`` unless
    codes have places: ``(c, h, w)`` is a grid of ``h`` by ``w`` positions with ``c`` channels each,
    ``(tokens, d)`` are vectors in a row. Codes are kept flat in this order of axes, in rows of
    ``dim`` numbers.

    Example:
        >>> Space("z", 2, "vae", "0" * 64).shape
        (2,)
        >>> Space("z", 128, "tiny", "0" * 64, (32, 2, 2)).is_grid
        True
    """

    kind: str
    dim: int
    model: str
    fingerprint: str
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.shape) or (self.dim,)
        if min(shape) < 1 or math.prod(shape) != self.dim:
            raise SpaceError(
                f"a space of shape {shape} has {math.prod(shape)} variables, not {self.dim}"
            )
        object.__setattr__(self, "shape", shape)

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape)) if len(self.shape) > 1 else f"{self.dim}-d"
        return f"{self.kind} of {self.model} ({size}, {self.fingerprint[:12]})"

    @property
    def is_grid(self) -> bool:
        """Whether codes have channels at positions of a grid: the shape is ``(c, h, w)``."""
        return len(self.shape) == 3

    def to_json(self) -> dict[str, Any]:
        """The fields for a file; ``shape`` only where it is not ``(dim,)``, so that older versions
        read the others.
        """
        fields = {name: getattr(self, name) for name in ("kind", "dim", "model", "fingerprint")}
        return fields if len(self.shape) == 1 else {**fields, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, record: Any) -> Space:
        """The space of which a file has the fields.

        Raises:
            ValueError: they are not those of a space.
        """
        known = record if isinstance(record, Mapping) else {}
        texts = [known.get(name) for name in ("kind", "model", "fingerprint")]
        dim = known.get("dim")
        if not all(isinstance(text, str) for text in texts) or type(dim) is not int or dim < 1:
            raise ValueError("a space must have a kind, a model and a fingerprint, and a size")
        shape = known.get("shape", [dim])
        if (
            not isinstance(shape, list)
            or not 1 <= len(shape) <= _MOST_AXES
            or not all(type(length) is int and length > 0 for length in shape)
            or math.prod(shape) != dim
        ):
            raise ValueError(f"the shape of a space of {dim} variables has a product of {dim}")
        return cls(known["kind"], dim, known["model"], known["fingerprint"], tuple(shape))

    def same_as(self, other: Space) -> bool:
        """Whether both are one space, whatever the models are called."""
        return (self.kind, self.shape, self.fingerprint) == (
            other.kind,
            other.shape,
            other.fingerprint,
        )

    def require(self, other: Space, what: str) -> None:
        """Refuses ``what``, which is in ``other``, unless it is in this space.

        Raises:
            SpaceError: the spaces differ.
        """
        if not self.same_as(other):
            advice = "use the model that made it"
            if self.fingerprint == other.fingerprint:
                advice = f"choose the space {other.kind} of this model"
            raise SpaceError(f"{what} must be in {self}, not in {other}: {advice}")


class Rows(Protocol):
    """Float rows that can be read in pieces: an array, or the shards of a cache."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop`` as float32 ``(stop - start, d)``, not to be written to."""

    def take(self, index: np.ndarray) -> np.ndarray:
        """The rows at ``index`` as float32, in that order."""


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """Rows in memory."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.array[start:stop]

    def take(self, index: np.ndarray) -> np.ndarray:
        return np.asarray(self.array[index])


@dataclass(frozen=True, eq=False)
class SelectedRows:
    """Some rows of others, in the order of ``index``; read only when they are asked for."""

    rows: Rows
    index: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index), *self.rows.shape[1:])

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._gather(self.index[start:stop])

    def take(self, index: np.ndarray) -> np.ndarray:
        return self._gather(self.index[index])

    def _gather(self, index: np.ndarray) -> np.ndarray:
        # A run of neighbours is one read instead of a gather.
        if len(index) and index[-1] - index[0] == len(index) - 1 and (np.diff(index) == 1).all():
            return self.rows.read(int(index[0]), int(index[-1]) + 1)
        return self.rows.take(index)


@dataclass(frozen=True, eq=False)
class Codes(Shown):
    """The codes of some images in one space: float32, all finite, row ``i`` is the code of image
    ``ids[i]``.

    ``rows`` may stay on disk: use ``blocks`` or ``read`` for what does not have to be in memory at
    once. ``data`` is the fingerprint of the images; ``digests`` are the first 16 bytes of the
    sha256 of each image's content, ``(n, 16)`` uint8, by which images are recognised; ``skipped``
    are the images that could not be read and have no row.
    """

    ids: np.ndarray
    rows: Rows
    space: Space
    frame: Frame
    data: str
    digests: np.ndarray
    skipped: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        expected = (len(self.ids), self.space.dim)
        if self.rows.shape != expected or self.digests.shape != (len(self.ids), 16):
            raise SpaceError(
                f"codes in {self.space} must have shape {expected} and digests "
                f"{(len(self.ids), 16)}, "
                f"not {self.rows.shape} and {self.digests.shape}"
            )

    def __repr__(self) -> str:
        return f"<Codes of {len(self)} images in {self.space}>"

    def tables(self) -> list[Table]:
        cells: dict[str, Cell] = {
            "images": len(self),
            "such as": ", ".join(map(str, self.ids[:_NAMED])) or None,
            "space": str(self.space),
            "frame": self.frame.name,
            "skipped": len(self.skipped) or None,
        }
        return [Table.of_one("Codes", cells)]

    @classmethod
    def from_array(
        cls,
        ids: Sequence[str] | np.ndarray,
        vectors: np.ndarray | torch.Tensor,
        *,
        space: Space,
        frame: Frame | None = None,
        data: str = "",
        digests: np.ndarray | None = None,
        skipped: Sequence[str] = (),
    ) -> Codes:
        """Codes in memory; without ``digests`` the ids alone stand for the images."""
        array = np.ascontiguousarray(np.asarray(vectors, dtype=np.float32))
        names = np.asarray(ids, dtype=np.str_)
        if digests is None:
            digests = np.zeros((len(names), 16), dtype=np.uint8)
        return cls(names, ArrayRows(array), space, frame or Frame(), data, digests, tuple(skipped))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def vectors(self) -> torch.Tensor:
        """All codes in memory, float32 ``(n, d)``."""
        return self.read(0, len(self))

    def to_numpy(self) -> np.ndarray:
        """All codes in memory, float32 ``(n, d)``, as ``np.asarray(codes)`` gives them too."""
        return np.asarray(self.rows.read(0, len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.to_numpy()
        # A copy only where it is asked for: what is in memory may be large.
        return np.array(array, dtype) if copy else np.asarray(array, dtype)

    def to_frame(self) -> DataFrame:
        """All codes in memory as a DataFrame: a row an image by its id, a column a variable
        by its number.

        Raises:
            LatentmapError: pandas is not installed.
        """
        from latentmap.report.data_frames import pandas_library

        pandas = pandas_library()
        return pandas.DataFrame(self.to_numpy(), index=pandas.Index(self.ids, name="image"))

    @property
    def mean(self) -> torch.Tensor:
        """The mean code ``(d,)``, float64, of codes that are read in blocks."""
        import torch

        total = torch.zeros(self.space.dim, dtype=torch.float64)
        for block in self.blocks():
            total += block.sum(0, dtype=torch.float64)
        return total / len(self)

    def read(self, start: int, stop: int) -> torch.Tensor:
        """Rows ``start`` to ``stop`` in memory, float32."""
        import torch  # What does not compute with codes does not wait for it.

        array = self.rows.read(start, stop)
        return torch.from_numpy(array if array.flags.writeable else array.copy())

    def take(self, index: np.ndarray, *, ids: np.ndarray | None = None) -> Codes:
        """The codes at ``index`` (positions or a mask); they stay where they are until read.

        ``ids`` are those of these images where they are in memory already, and are held once then.
        """
        chosen = np.arange(len(self))[index]
        if isinstance(self.rows, SelectedRows):
            rows = SelectedRows(self.rows.rows, self.rows.index[chosen])
        else:
            rows = SelectedRows(self.rows, chosen)
        names = self.ids[index] if ids is None else ids
        return replace(self, ids=names, rows=rows, digests=self.digests[index])

    @property
    def block_size(self) -> int:
        """How many rows are read at a time where nothing else is said: fewer of large codes."""
        return max(1, min(_BLOCK, _NUMBERS // self.space.dim))

    def blocks(self, size: int | None = None) -> Iterator[torch.Tensor]:
        """All rows in order, ``size`` at a time, by default ``block_size``."""
        size = size or self.block_size
        for start in range(0, len(self), size):
            yield self.read(start, min(start + size, len(self)))
