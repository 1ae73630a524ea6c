"""Changes of a space that leave it what it is: signs, an order of channels, scales, a rotation.

Each is a map of channels, the same at every position, fitted by least squares in closed form from
moments. Shapes: ``n`` images, ``p`` positions, ``c`` channels (``latentmap.codes.channels``): of
vectors, each variable is a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes
from latentmap.codes.channels import by_position, channels_of

# From the simplest on: the first that holds is told. Values are how they are called.
CHANGES = {
    "identity": "nothing",
    "signs": "signs",
    "permutation": "a permutation",
    "scale": "one scale and shift",
    "signs and scale": "signs, one scale, a shift each",
    "permutation and scale": "a permutation, one scale and shift",
    "scales": "a scale and shift each",
    "permutation and scales": "a permutation, a scale and shift each",
    "rotation": "a rotation, one scale, a shift each",
}
_MATCHED = 0.5  # Below this correlation a channel has no sign of its own.
_RANK = 1e-10


@dataclass(frozen=True, eq=False)
class Change:
    """The map ``y = x[order] * factors + bias`` of channels, or ``y = x weight + bias`` where it
    has a ``weight`` ``(c, c)``; all are float64. ``told`` (JSON) is what it does in numbers.
    """

    name: str
    bias: Tensor
    order: Tensor | None = None
    factors: Tensor | None = None
    weight: Tensor | None = None
    told: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, x: Tensor) -> Tensor:
        """Changed codes ``(n, p, c)``, float64."""
        if self.weight is not None:
            return x @ self.weight + self.bias
        assert self.order is not None and self.factors is not None
        return x[..., self.order] * self.factors + self.bias


@dataclass(frozen=True, eq=False)
class ChannelMoments:
    """Means ``(c,)`` and covariances ``(c, c)`` of the channels of codes of the same images in two
    spaces, over images and positions, float64.
    """

    mean_x: Tensor
    mean_y: Tensor
    xx: Tensor
    yy: Tensor
    xy: Tensor

    @property
    def flipped(self) -> ChannelMoments:
        """Those from the second space to the first."""
        return ChannelMoments(self.mean_y, self.mean_x, self.yy, self.xx, self.xy.T)


def change_moments(x: Codes, y: Codes) -> ChannelMoments:
    """The moments of codes of the same images, row by row, in spaces of one shape; in one pass."""
    shape = x.space.shape
    c, p = channels_of(shape)
    size = x.block_size
    shift: tuple[Tensor, ...] | None = None
    first = torch.zeros(2 * c, dtype=torch.float64)
    second = torch.zeros(2 * c, 2 * c, dtype=torch.float64)
    for rows in zip(x.blocks(size), y.blocks(size), strict=True):
        wide = [by_position(one.double(), shape).flatten(0, 1) for one in rows]
        # So that nothing cancels.
        shift = shift or tuple(one.mean(0) for one in wide)
        both = torch.cat([one - center for one, center in zip(wide, shift, strict=True)], dim=1)
        first += both.sum(0)
        second.addmm_(both.T, both)
    assert shift is not None
    n = len(x) * p
    mean = first / n
    covariance = second / n - torch.outer(mean, mean)
    return ChannelMoments(
        mean[:c] + shift[0],
        mean[c:] + shift[1],
        covariance[:c, :c],
        covariance[c:, c:],
        covariance[:c, c:],
    )


def changes_between(moments: ChannelMoments) -> dict[str, Change]:
    """The changes of the first space that bring it nearest to the second, by the names in
    ``CHANGES``; without signs and permutations where the best ones are none.
    """
    c = len(moments.mean_x)
    plain = torch.arange(c)
    found = {"identity": _ordered("identity", plain, torch.ones(c))}
    order = _best_order(moments)
    orders = [("", plain, torch.ones(c)), ("signs", plain, _signs(moments, plain))]
    if not torch.equal(order, plain):
        orders.append(("permutation", order, _signs(moments, order)))
    for name, one, signs in orders:
        if name == "signs" and bool((signs > 0).all()):
            continue
        if name:
            found[name] = _ordered(name, one, signs)
        scaled = f"{name} and scale" if name else "scale"
        found[scaled] = _of_one_scale(scaled, moments, one, signs)
        if name != "signs":  # Each scale has a sign.
            found[f"{scaled}s"] = _of_scales(f"{scaled}s", moments, one)
    found["rotation"] = _rotation(moments)
    return {name: found[name] for name in CHANGES if name in found}


def affine_change(moments: ChannelMoments) -> Change:
    """The best affine map of channels."""
    weight = torch.linalg.pinv(moments.xx, rtol=_RANK, hermitian=True) @ moments.xy
    return Change("affine", moments.mean_y - moments.mean_x @ weight, weight=weight)


def _ordered(name: str, order: Tensor, signs: Tensor) -> Change:
    told = _told(order, signs)
    return Change(name, torch.zeros(len(order)).double(), order, signs.double(), told=told)


def _told(order: Tensor, signs: Tensor) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if not torch.equal(order, torch.arange(len(order))):
        told["permutation"] = order.tolist()
    if bool((signs < 0).any()):
        told["signs"] = signs.int().tolist()
    return told


def _best_order(moments: ChannelMoments) -> Tensor:
    """Which channel of the first space goes with each of the second: the assignment of the largest
    sum of absolute correlations.
    """
    from scipy.optimize import linear_sum_assignment

    # Of equal ones, such as those of channels that do not vary, each keeps its place.
    likeness = _correlations(moments).abs() + 1e-9 * torch.eye(len(moments.xx))
    rows, columns = linear_sum_assignment(-likeness.numpy())
    order = np.empty(len(rows), dtype=np.int64)
    order[columns] = rows
    return torch.from_numpy(order)


def _correlations(moments: ChannelMoments) -> Tensor:
    """Those of each channel of the first space with each of the second ``(c, c)``; 0 of one that
    does not vary.
    """
    scales = torch.outer(moments.xx.diagonal().clamp(min=0), moments.yy.diagonal().clamp(min=0))
    varies = scales > torch.finfo(torch.float64).tiny
    return torch.where(varies, moments.xy / torch.where(varies, scales, 1).sqrt(), 0)


def _signs(moments: ChannelMoments, order: Tensor) -> Tensor:
    """-1 for each channel that goes against the one in its place, or is its opposite where it
    hardly varies with it.
    """
    places = torch.arange(len(order))
    correlation = _correlations(moments)[order, places]
    products = moments.xy[order, places] + moments.mean_x[order] * moments.mean_y
    decides = torch.where(correlation.abs() >= _MATCHED, correlation, products)
    return torch.where(decides < 0, -1.0, 1.0)


def _of_one_scale(name: str, moments: ChannelMoments, order: Tensor, signs: Tensor) -> Change:
    """One factor and one shift for all numbers: least squares over channels and positions.

    With signs each channel has a shift of its own: the way back has one with the sign of the
    channel.
    """
    places = torch.arange(len(order))
    x, y = signs * moments.mean_x[order], moments.mean_y
    variance = moments.xx.diagonal().mean()
    covariance = (signs * moments.xy[order, places]).mean()
    signed = bool((signs < 0).any())
    if not signed:
        variance = variance + (x - x.mean()).square().mean()
        covariance = covariance + ((x - x.mean()) * y).mean()
    factor = covariance / variance if variance > 0 else torch.zeros(()).double()
    bias = y - factor * x if signed else (y.mean() - factor * x.mean()).expand(len(order))
    shift = {"shifts": bias.tolist()} if signed else {"shift": float(bias[0])}
    told = {"factor": float(factor), **shift, **_told(order, signs)}
    return Change(name, bias, order, factor * signs.double(), told=told)


def _of_scales(name: str, moments: ChannelMoments, order: Tensor) -> Change:
    """A factor and a shift for each channel."""
    places = torch.arange(len(order))
    variance = moments.xx.diagonal()[order]
    varies = variance > 0
    factors = torch.where(varies, moments.xy[order, places] / torch.where(varies, variance, 1), 0)
    bias = moments.mean_y - factors * moments.mean_x[order]
    told = {"factors": factors.tolist(), "shifts": bias.tolist()}
    return Change(name, bias, order, factors, told=told | _told(order, torch.ones(len(order))))


def _rotation(moments: ChannelMoments) -> Change:
    """The orthogonal matrix, the factor and the shift of each channel of Procrustes."""
    u, values, vh = torch.linalg.svd(moments.xy)
    spread = moments.xx.diagonal().sum()
    factor = values.sum() / spread if spread > 0 else torch.zeros(()).double()
    weight = factor * (u @ vh)
    bias = moments.mean_y - moments.mean_x @ weight
    return Change("rotation", bias, weight=weight, told={"factor": float(factor)})
