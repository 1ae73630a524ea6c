"""The baselines of a map as its file keeps them, so that they stand beside it on other images too.

Shapes: ``p`` numbers that a baseline reads, ``q`` target variables; of patches those of a patch and
of a cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentmap.codes import Space
from latentmap.mapping.patches import Patches

BASELINE = "baseline."
_LARGEST = 1 << 24  # Numbers of principal components that are kept: 64 MB.


@dataclass(frozen=True, eq=False)
class KeptBaseline:
    """The map ``weight`` ``(p, q)``, ``bias`` ``(q,)``, float64, from the ``space`` of a baseline
    of some ``kind``. Principal components, which nothing else can tell, are there as ``mean``
    ``(pixels,)`` and ``components`` ``(k, pixels)``, float32.
    """

    kind: str
    space: Space
    weight: Tensor
    bias: Tensor
    patches: Patches | None = None
    mean: Tensor | None = None
    components: Tensor | None = None

    @property
    def is_small(self) -> bool:
        """Whether it can be kept in a file of a map."""
        return self.components is None or self.components.numel() <= _LARGEST

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors, by name."""
        parts = {
            "weight": self.weight,
            "bias": self.bias,
            "mean": self.mean,
            "components": self.components,
        }
        return {f"{BASELINE}{self.kind}.{name}": t for name, t in parts.items() if t is not None}

    def to_json(self) -> dict[str, Any]:
        """The rest of it."""
        patches = {} if self.patches is None else {"patches": self.patches.to_json()}
        return {"kind": self.kind, "space": self.space.to_json(), **patches}

    @classmethod
    def from_file(
        cls, said: Mapping[str, Any], tensors: Mapping[str, Tensor], target: Space
    ) -> KeptBaseline:
        """What ``to_json`` and ``tensors`` gave, of a map to ``target``.

        Raises:
            KeyError, ValueError: they do not fit together.
        """
        kind, space = said["kind"], Space.from_json(said["space"])
        if not isinstance(kind, str):
            raise ValueError("the kind of a baseline must be a text")
        patches = None if "patches" not in said else Patches.from_json(said["patches"])
        parts = {
            name: tensors.get(f"{BASELINE}{kind}.{name}")
            for name in ("weight", "bias", "mean", "components")
        }
        weight, bias = parts.pop("weight"), parts.pop("bias")
        if weight is None or bias is None:
            raise KeyError(f"{BASELINE}{kind}.weight")
        found = cls(kind, space, weight, bias, patches, **parts)
        found._check(target)
        return found

    def _check(self, target: Space) -> None:
        p, q = self.space.dim, target.dim
        if self.patches is not None:
            if (self.patches.source, self.patches.target) != (self.space.shape, target.shape):
                raise ValueError("the patches of a baseline must be those of its spaces")
            p, q = self.patches.p, self.patches.q
        wide = (self.weight, self.bias)
        if self.weight.shape != (p, q) or self.bias.shape != (q,):
            raise ValueError(
                f"the weight of a baseline must be a matrix, here ({p}, {q}), with a bias"
            )
        if any(one.dtype != torch.float64 or not bool(one.isfinite().all()) for one in wide):
            raise ValueError("weight and bias of a baseline must be float64 and finite")
        if (self.mean is None) != (self.components is None):
            raise ValueError("principal components have a mean")
        if self.mean is None or self.components is None:
            return
        if self.mean.ndim != 1 or self.components.shape != (self.space.dim, len(self.mean)):
            raise ValueError("principal components must be a matrix of as many rows as variables")
        narrow = (self.mean, self.components)
        if any(one.dtype != torch.float32 or not bool(one.isfinite().all()) for one in narrow):
            raise ValueError("principal components must be float32 and finite")


def baselines_in(
    header: Mapping[str, Any], tensors: Mapping[str, Tensor], target: Space
) -> tuple[KeptBaseline, ...]:
    """The baselines of a file of a map to ``target``.

    Raises:
        KeyError, TypeError, ValueError: they are not as they should be.
    """
    listed = header.get("baselines", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise TypeError("baselines must be a list of descriptions")
    found = tuple(KeptBaseline.from_file(one, tensors, target) for one in listed)
    if len({one.kind for one in found}) < len(found):
        raise ValueError("every kind of baseline must be there once")
    return found
