"""LinearMap: a fitted map from one space to another, with all that is needed to apply it later.

Shapes: ``n`` codes, ``p`` source variables, ``q`` target variables; of a map of ``patches`` those
of a patch and of a cell.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from latentmap.arrays import Numbers, as_tensor
from latentmap.codes import Codes, Space
from latentmap.errors import MapError, SpaceError
from latentmap.frames import Frame
from latentmap.mapping.kept_baselines import KeptBaseline
from latentmap.mapping.map_checks import KNOWN_BY, TRUNCATION, UNKEPT, known_by_of
from latentmap.mapping.mapped_rows import MappedRows
from latentmap.mapping.moments import Moments
from latentmap.mapping.patch_maps import composed, mapped, turned
from latentmap.mapping.patches import Patches
from latentmap.mapping.summary import provenance_of, settings_in_words
from latentmap.report import Shown, Table

# Singular values below this share of the largest are rounding, and not inverted.
_INVERTED = 1e-10


@dataclass(frozen=True, eq=False)
class LinearMap(Shown):
    """The affine map ``y = x W + b`` from the codes of one space to those of another.

    ``weight`` ``(p, q)`` and ``bias`` ``(q,)`` are float64. ``source`` and ``target`` are the
    spaces, ``source_frame`` and ``target_frame`` what the two models see of an image,
    ``source_reference`` and ``target_reference`` how the models were called by whoever fitted the
    map. ``train_digests`` ``(n_pairs, 16)`` uint8 are the images that it was fitted on, and
    ``moments`` those of the pairs, ``sampled`` where their method does not need more (None where a
    map was made of others). ``source_distances`` ``(k,)`` say how far fitted source codes are from
    each other, see ``fitted_distances``. With ``patches`` it is one map for all cells of grids, and
    a row of the moments is a cell; it has no such distances. ``baselines`` are maps
    from other codes of the same images, which stand beside it. ``settings`` (JSON) are the
    method's, ``figures`` what else it found. ``record`` (JSON) says what made it.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    source: Space
    target: Space
    source_frame: Frame
    target_frame: Frame
    method: str
    rank: int
    condition: float
    n_pairs: int
    train_digests: np.ndarray
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    moments: Moments | None = None
    source_distances: torch.Tensor | None = None
    patches: Patches | None = None
    baselines: tuple[KeptBaseline, ...] = ()
    source_reference: str = ""
    target_reference: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        patch = f"patches of {self.patches}" if self.patches else ""
        parts = (self.method, self.chosen, patch, f"{self.n_pairs} pairs", f"rank {self.rank}")
        return f"{self.source} to {self.target}: {', '.join(filter(None, parts))}"

    def __repr__(self) -> str:
        return f"<LinearMap from {self}>"

    def tables(self) -> list[Table]:
        from latentmap.mapping.tables import map_table

        return [map_table(self)]

    @property
    def chosen(self) -> str:
        """The settings of the method, in words."""
        return settings_in_words(self.settings)

    @property
    def digest(self) -> str:
        """SHA-256 of weight, bias and patches, which tells the map from any other."""
        numbers = torch.cat([self.weight, self.bias[None]]).double().contiguous().numpy()
        found = hashlib.sha256(numbers.tobytes())
        if self.patches is not None:
            found.update(json.dumps(self.patches.to_json()).encode())
        return found.hexdigest()

    @property
    def provenance(self) -> dict[str, Any]:
        """Between which spaces it is, and what it was fitted by, as JSON has it."""
        return provenance_of(self)

    @property
    def penalty(self) -> float | None:
        """The penalty of the method, where it has one."""
        return self.settings.get("penalty")

    @overload
    def apply(self, codes: Codes) -> Codes: ...
    @overload
    def apply(self, codes: Numbers) -> torch.Tensor: ...
    def apply(self, codes: Numbers | Codes) -> torch.Tensor | Codes:
        """The codes ``(n, d)`` in the target space, float32 and on the same device; of an array or
        a tensor a tensor.

        The product is taken in float64, of patches as a convolution. ``Codes`` give ``Codes`` whose
        rows are mapped when they are read, so they need no memory of their own.

        Raises:
            SpaceError: the codes say that they are in another space than the map's source.
            MapError: the codes do not have the shape of source codes.
        """
        if isinstance(codes, Codes):
            self.source.require(codes.space, "codes for this map")
            return replace(
                codes,
                rows=MappedRows(codes.rows, self.apply, self.target.dim),
                space=self.target,
                frame=self.target_frame,
            )
        codes = as_tensor(codes, "codes for this map", error=MapError)
        width = self._width
        if codes.ndim != 2 or codes.shape[1] != width:
            raise MapError(f"this map takes codes of shape (n, {width}), not {tuple(codes.shape)}")
        return mapped(codes, self.weight, self.bias, self.patches)

    def apply_direction(self, directions: Numbers) -> torch.Tensor:
        """What the map makes of directions ``(k, d)``, or of one ``(d,)``, which are differences of
        source codes: those of the mapped codes, without the constant. Float32, on the same device.

        How sure these are, ``latentmap.mapping.uncertainty.carry`` says.

        Raises:
            MapError: they do not have the shape of source codes.
        """
        directions = as_tensor(directions, "directions", error=MapError)
        width, shape = self._width, tuple(directions.shape)
        if len(shape) not in (1, 2) or shape[-1] != width:
            raise MapError(
                f"this map takes directions of shape (k, {width}), or one ({width},), not {shape}"
            )
        constant = torch.zeros_like(self.bias)
        carried = mapped(directions.reshape(-1, width), self.weight, constant, self.patches)
        return carried.reshape(*shape[:-1], -1)

    @property
    def _width(self) -> int:
        """The numbers of a source code."""
        return math.prod(self.patches.source) if self.patches else len(self.weight)

    def compose(self, after: LinearMap) -> LinearMap:
        """The map that applies this one and then ``after``: from A to B and from B to C.

        Both maps' training images count as its own.

        Raises:
            SpaceError: ``after`` does not start where this map ends.
            MapError: maps of patches, whose composition is none; see ``patch_maps``.
        """
        if not self.target.same_as(after.source):
            raise SpaceError(
                f"maps can be composed where one ends in the space in which the next starts, but "
                f"the first goes to {self.target} and the second comes from {after.source}"
            )
        digests = np.unique(np.concatenate([self.train_digests, after.train_digests]), axis=0)
        weight, bias, patches = composed(self, after)
        return LinearMap(
            weight=weight,
            bias=bias,
            patches=patches,
            source=self.source,
            target=after.target,
            source_frame=self.source_frame,
            target_frame=after.target_frame,
            method="composed",
            rank=int(torch.linalg.matrix_rank(weight)),
            condition=self.condition * after.condition,
            n_pairs=min(self.n_pairs, after.n_pairs),
            train_digests=digests,
            source_reference=self.source_reference,
            target_reference=after.target_reference,
            record=self._made_of(self, after),
        )

    def inverse(self) -> LinearMap:
        """The map back, by the pseudo-inverse: of all codes that this map takes to one, it gives
        the one nearest to the mean of the source codes.

        ``figures["kept_variance"]`` is the share of the source variance that comes back after there
        and back again; it is there when the map knows its moments. The inverse of a map that was
        fitted is not the best map back: fit that one where pairs are at hand. Of patches of one
        cell it is a map of cells.

        Raises:
            MapError: the map is of larger patches.
        """
        patches = turned(self.patches)
        inverse = torch.linalg.pinv(self.weight, rtol=_INVERTED)
        loop = self.weight @ inverse
        middle = torch.zeros(len(self.weight), dtype=self.weight.dtype)
        figures = {}
        if self.moments is not None:
            middle = self.moments.mean_x
            lost = torch.eye(len(loop), dtype=loop.dtype) - loop
            total = float(self.moments.squares_x.sum())
            left = float(self.moments.inner(lost).trace())
            figures = {"kept_variance": 1 - left / total if total > 0 else 1.0}
        rank = int(torch.linalg.matrix_rank(self.weight, rtol=_INVERTED))
        values = torch.linalg.svdvals(self.weight)[:rank]
        return LinearMap(
            weight=inverse,
            bias=middle - middle @ loop - self.bias @ inverse,
            patches=patches,
            source=self.target,
            target=self.source,
            source_frame=self.target_frame,
            target_frame=self.source_frame,
            method="inverse",
            rank=rank,
            condition=float(values[0] / values[-1]) if rank else 1.0,
            figures=figures,
            n_pairs=self.n_pairs,
            train_digests=self.train_digests,
            source_reference=self.target_reference,
            target_reference=self.source_reference,
            record=self._made_of(self),
        )

    def cycle_error(self, back: LinearMap) -> float:
        """The share of the source variance that is lost there and ``back``, over the pairs of this
        map: 0 when every code returns to itself.

        Raises:
            SpaceError: ``back`` does not lead back to the source.
            MapError: the map was made of others and knows no pairs, or one is of patches of more
                than a cell.
        """
        if turned(back.patches) != self.patches:
            raise MapError("a cycle error is of two maps of flat codes, or of the same cells")
        self.target.require(back.source, "the source of the map back")
        self.source.require(back.target, "the target of the map back")
        moments = self.require_moments("a cycle error")
        loop = torch.eye(len(self.weight), dtype=self.weight.dtype) - self.weight @ back.weight
        shift = moments.mean_x @ loop - self.bias @ back.weight - back.bias
        lost = float(moments.inner(loop).trace() / moments.n + shift.square().sum())
        spread = float(moments.squares_x.sum()) / moments.n
        return lost / spread if spread > 0 else 0.0

    def require_moments(self, what: str) -> Moments:
        """The moments of the pairs that the map was fitted on.

        Raises:
            MapError: the map was made of others, so ``what`` cannot be had.
        """
        if self.moments is None:
            raise MapError(
                f"{what} needs the moments of the pairs, which a map made of other maps "
                f"({self.method}) does not have: take a map of `latentmap fit`"
            )
        return self.moments

    @staticmethod
    def _made_of(*maps: LinearMap) -> dict[str, Any]:
        # What `evaluate` asks of a record has to be said of the whole.
        shared = {
            name: one.record[name]
            for one in maps
            for name in ("group_by", "precision")
            if one.record.get(name)
        }
        truncations = {one.record.get(TRUNCATION) for one in maps}
        if len(truncations) == 1:
            shared[TRUNCATION] = truncations.pop()
        shared[KNOWN_BY] = known_by_of(*(one.record for one in maps))
        if any(one.record.get(UNKEPT) for one in maps):
            shared[UNKEPT] = True
        return {**shared, "made_of": [{"map": str(m), "record": dict(m.record)} for m in maps]}

    def save(self, path: str | Path) -> None:
        """Writes the map to a safetensors file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        from latentmap.mapping.map_file import write_map

        write_map(self, path)

    @classmethod
    def load(cls, path: str | Path) -> LinearMap:
        """The map in a file that ``save`` wrote.

        Raises:
            MapError: the file is missing, cut off, or not a map of latentmap.
        """
        from latentmap.mapping.map_file import read_map

        return read_map(path)
