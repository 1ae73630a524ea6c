"""LinearMap: a fitted map from one space to another, with all that is needed to apply it later.

Shapes: ``n`` codes, ``p`` source variables, ``q`` target variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from latentmap.codes import Codes, Rows, Space
from latentmap.errors import ImageError, MapError
from latentmap.frames import Frame
from latentmap.mapping.moments import moments_of_pairs
from latentmap.mapping.selection import leave_one_out
from latentmap.mapping.solvers import SOLVERS, Solution, solve_ridge
from latentmap.pairs import Pairs
from latentmap.progress import Progress
from latentmap.tensor_file import TensorFile

_FILE = TensorFile(kind="map", format=1, error=MapError, advice="make one with `latentmap fit`")


@dataclass(frozen=True, eq=False)
class LinearMap:
    """The affine map ``y = x W + b`` from the codes of one space to those of another.

    ``weight`` ``(p, q)`` and ``bias`` ``(q,)`` are float64. ``source`` and ``target`` are the
    spaces, ``source_frame`` and ``target_frame`` what the two models see of an image,
    ``source_reference`` and ``target_reference`` how the models were called by whoever fitted the
    map. ``train_digests`` ``(n_pairs, 16)`` uint8 are the images that it was fitted on. ``record``
    (JSON) says what made it.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    source: Space
    target: Space
    source_frame: Frame
    target_frame: Frame
    method: str
    penalty: float | None
    rank: int
    condition: float
    n_pairs: int
    train_digests: np.ndarray
    source_reference: str = ""
    target_reference: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        penalty = "" if self.penalty is None else f", penalty {self.penalty:.4g}"
        fitted = f"{self.method}{penalty}, {self.n_pairs} pairs, rank {self.rank}"
        return f"{self.source} to {self.target}: {fitted}"

    @overload
    def apply(self, codes: torch.Tensor) -> torch.Tensor: ...
    @overload
    def apply(self, codes: Codes) -> Codes: ...
    def apply(self, codes: torch.Tensor | Codes) -> torch.Tensor | Codes:
        """The codes ``(n, q)`` in the target space, float32 and on the same device.

        The product is taken in float64. ``Codes`` give ``Codes`` whose rows are mapped when they
        are read, so they need no memory of their own.

        Raises:
            SpaceError: the codes say that they are in another space than the map's source.
            MapError: the codes do not have shape ``(n, p)``.
        """
        if isinstance(codes, Codes):
            self.source.require(codes.space, "codes for this map")
            return replace(
                codes,
                rows=_MappedRows(self, codes.rows),
                space=self.target,
                frame=self.target_frame,
            )
        if codes.ndim != 2 or codes.shape[1] != len(self.weight):
            raise MapError(
                f"this map takes codes of shape (n, {len(self.weight)}), not {tuple(codes.shape)}"
            )
        weight, bias = self.weight.to(codes.device), self.bias.to(codes.device)
        return torch.addmm(bias, codes.to(weight.dtype), weight).float()

    def save(self, path: Path) -> None:
        """Writes the map to a safetensors file, whole or not at all."""
        header = {
            "source": asdict(self.source),
            "target": asdict(self.target),
            "source_frame": self.source_frame.to_json(),
            "target_frame": self.target_frame.to_json(),
            "method": self.method,
            "penalty": self.penalty,
            "rank": self.rank,
            "condition": self.condition,
            "n_pairs": self.n_pairs,
            "source_reference": self.source_reference,
            "target_reference": self.target_reference,
            "record": dict(self.record),
        }
        tensors = {
            "weight": self.weight,
            "bias": self.bias,
            "train_digests": torch.from_numpy(np.ascontiguousarray(self.train_digests)),
        }
        _FILE.write(path, tensors, header)

    @classmethod
    def load(cls, path: Path) -> LinearMap:
        """The map in a file that ``save`` wrote.

        Raises:
            MapError: the file is missing, cut off, or not a map of latentmap.
        """
        header, tensors = _FILE.read(path)
        try:
            return cls(
                weight=tensors["weight"],
                bias=tensors["bias"],
                source=Space(**header["source"]),
                target=Space(**header["target"]),
                source_frame=Frame.from_json(header["source_frame"]),
                target_frame=Frame.from_json(header["target_frame"]),
                method=header["method"],
                penalty=header["penalty"],
                rank=header["rank"],
                condition=header["condition"],
                n_pairs=header["n_pairs"],
                train_digests=tensors["train_digests"].numpy(),
                source_reference=header["source_reference"],
                target_reference=header["target_reference"],
                record=header["record"],
            )
        except (KeyError, TypeError, ImageError) as error:
            raise MapError(
                f"{path} does not describe its map as it should ({error}): make it again with "
                "`latentmap fit`"
            ) from None


def fit(
    pairs: Pairs,
    *,
    method: str = "ridge",
    penalty: float | None = None,
    references: tuple[str, str] = ("", ""),
    record: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> LinearMap:
    """The linear map from the source codes of some pairs to their target codes.

    ``method`` is a name in ``SOLVERS``. Without a ``penalty``, ridge takes the one with the
    smallest leave-one-out error. Sums and solution are float64; rows are read in blocks, so memory
    does not grow with the number of pairs. ``references`` are how the two models are called,
    ``record`` is what else the map's file is to say.

    Example:
        >>> from latentmap.codes import Codes, Space
        >>> from latentmap.pairs import pair
        >>> x = torch.randn(50, 2, generator=torch.manual_seed(0))
        >>> ids = [str(i) for i in range(50)]
        >>> a = Codes.from_array(ids, x, space=Space("z", 2, "a", "aa"))
        >>> b = Codes.from_array(ids, x.flip(1), space=Space("z", 2, "b", "bb"))
        >>> fit(pair(a, b)).weight.round(decimals=3).abs()
        tensor([[0., 1.],
                [1., 0.]], dtype=torch.float64)

    Raises:
        MapError: an unknown method, fewer than two pairs, a penalty that cannot be, or codes that
            are not finite.
    """
    if method not in SOLVERS:
        raise MapError(f"unknown method {method!r}: choose one of {', '.join(SOLVERS)}")
    if len(pairs) < 2:
        raise MapError(
            f"a map needs at least 2 pairs, not {len(pairs)}: give more images that both models "
            "encode"
        )
    solver = SOLVERS[method]
    if solver is not solve_ridge and penalty is not None:
        raise MapError(f"the method {method} takes no penalty: leave it out, or choose ridge")
    moments = moments_of_pairs(pairs, progress=progress)
    solution: Solution
    if solver is solve_ridge:
        chosen = (
            leave_one_out(pairs, moments, progress=progress).penalty
            if penalty is None
            else float(penalty)
        )
        solution = solve_ridge(moments, penalty=chosen)
    else:
        chosen = None
        solution = solver(moments)
    selection = "leave-one-out" if penalty is None and chosen is not None else "given"
    return LinearMap(
        weight=solution.weight,
        bias=solution.bias,
        source=pairs.source.space,
        target=pairs.target.space,
        source_frame=pairs.source.frame,
        target_frame=pairs.target.frame,
        method=method,
        penalty=chosen,
        rank=solution.rank,
        condition=solution.condition,
        n_pairs=len(pairs),
        train_digests=pairs.digests,
        source_reference=references[0],
        target_reference=references[1],
        record={
            "penalty_selection": selection,
            "data": pairs.source.data,
            "versions": {name: version(name) for name in ("latentmap", "numpy", "torch")},
            **(record or {}),
        },
    )


@dataclass(frozen=True, eq=False)
class _MappedRows:
    """Rows of the source, mapped when they are read."""

    linear_map: LinearMap
    rows: Rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows.shape[0], self.linear_map.target.dim)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._mapped(self.rows.read(start, stop))

    def take(self, index: np.ndarray) -> np.ndarray:
        return self._mapped(self.rows.take(index))

    def _mapped(self, rows: np.ndarray) -> np.ndarray:
        codes = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
        return self.linear_map.apply(codes).numpy()
