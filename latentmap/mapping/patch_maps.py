"""What maps of patches can be asked: to be applied, composed and turned around, cell by cell.

Shapes: ``n`` codes, a weight ``(p, q)`` of patches, see ``patches``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.cells import convolved
from latentmap.mapping.patches import Patches

if TYPE_CHECKING:
    from latentmap.mapping.linear_map import LinearMap

# Of patches, or of codes, at a time, in float64: the processor copies every patch.
_NUMBERS = 1 << 22


def mapped(codes: Tensor, weight: Tensor, bias: Tensor, patches: Patches | None) -> Tensor:
    """The target codes ``(n, q')``, float32, that a weight and a bias give of source codes, on the
    device of these; products are taken in float64.

    Of patches that is a convolution, some images at a time, so that memory does not grow.
    """
    weight, bias = weight.to(codes.device), bias.to(codes.device)
    if patches is None:
        return torch.addmm(bias, codes.to(weight.dtype), weight).float()
    size = max(1, _NUMBERS // (patches.cells * max(patches.p, patches.q)))
    # In one place: small results of their own would keep memory of large patches from being freed.
    found = codes.new_empty(len(codes), math.prod(patches.target), dtype=torch.float32)
    for start in range(0, len(codes), size):
        part = slice(start, start + size)
        found[part] = convolved(codes[part], weight, bias, patches)
    return found


def composed(one: LinearMap, after: LinearMap) -> tuple[Tensor, Tensor, Patches | None]:
    """Weight, bias and patches of the map that applies ``one`` and then ``after``.

    Raises:
        MapError: that is no map of patches: both read more than a cell, so that what the second
            finds beyond the border is not what the first makes there, or their cells differ.
    """
    first, second = one.patches, after.patches
    if first is None and second is None:
        return one.weight @ after.weight, one.bias @ after.weight + after.bias, None
    if first is None or second is None:
        raise MapError(
            "a map of patches and one of flat codes cannot be made one: fit both with one patch"
        )
    sizes = [(part.height, part.width) for part in (first, second)]
    if first.target_fold != second.source_fold or sizes[0] != sizes[1]:
        raise MapError(
            f"maps of patches can be composed where both have the same cells, but the first has "
            f"{first.height}x{first.width} and the second {second.height}x{second.width}, of "
            "other sizes: fit one from the first space to the last"
        )
    if first.size > 1 and second.size > 1:
        raise MapError(
            f"of two maps of patches one has to be 1x1, not {first.size}x{first.size} and "
            f"{second.size}x{second.size}, since the border of the second would not be that of "
            "codes: fit one from the first space to the last"
        )
    size = max(first.size, second.size)
    # Channels of the patch as rows, places in it behind: one of both has a single place.
    inner = one.weight.reshape(first.channels, first.size**2, first.q)
    outer = after.weight.reshape(second.channels, second.size**2, second.q)
    weight = torch.einsum("csm,mtq->cstq", inner, outer)
    weight = weight.reshape(first.channels * size**2, second.q)
    bias = one.bias @ outer.sum(1) + after.bias
    return weight, bias, Patches(size, first.source, second.target, first.height, first.width)


def turned(patches: Patches | None) -> Patches | None:
    """The patches of the map back.

    Raises:
        MapError: they are of more than a cell, whose map has no inverse of that form.
    """
    if patches is None:
        return None
    if patches.size > 1:
        raise MapError(
            f"the inverse of a map of {patches.size}x{patches.size} patches is no map of patches: "
            "fit one in the other direction, or one of the patch 1"
        )
    return Patches(1, patches.target, patches.source, patches.height, patches.width)


def require_flat(linear_map: LinearMap, what: str) -> None:
    """Refuses a map of patches.

    Raises:
        MapError: ``what`` cannot be had of one.
    """
    if linear_map.patches is not None:
        raise MapError(
            f"{what} is of maps of flat codes, and this one is of patches of {linear_map.patches}: "
            "fit with the patch full"
        )
