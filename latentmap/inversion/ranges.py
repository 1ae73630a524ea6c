"""The range of a model: where the codes that it samples lie, and how far others are from there.

Shapes: ``n`` codes ``(n, d)``, which consist of ``p`` parts of ``k`` variables: of one, but in w+
of those of the layers, and of codes with positions of the channels at each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.codes.channels import by_position, channels_of
from latentmap.inversion.starts import draw_samples
from latentmap.model import Model

INSIDE = 0.999  # The share of sampled codes that lie in the range.
# Directions without variance stay affordable: of the largest variance.
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class CodeRange:
    """What a model samples, as the inside of an ellipsoid.

    A code's *place* ``(n, p, k)`` is what is left of it when the mean ``(d,)`` is taken off and all
    variables are made independent, with the variance 1: by ``whiten`` ``(k, k)``, the symmetric
    inverse root of the covariance, or by ``(k,)`` numbers where each is scaled by itself;
    ``colour`` is the way back. The ``distance`` of a code is the root of the sum of its place's
    squares, in the mean of its parts: the Mahalanobis distance, for the standard normal prior the
    length of the code. ``limit`` is what 99.9 % of sampled codes do not exceed; ``spread`` the
    standard deviation of a variable, in the quadratic mean of all.
    """

    mean: Tensor
    whiten: Tensor
    colour: Tensor
    limit: float
    spread: float
    shape: tuple[int, ...]
    parts: int

    def places(self, codes: Tensor) -> Tensor:
        """The places ``(n, p, k)`` of codes ``(n, d)``."""
        return _scaled(self._in_parts(codes - self.mean), self.whiten)

    def codes(self, places: Tensor) -> Tensor:
        """The codes ``(n, d)`` of places."""
        away = _scaled(places, self.colour)
        flat = away.transpose(1, 2) if len(self.shape) > 2 else away
        return flat.flatten(1) + self.mean

    def distances(self, codes: Tensor) -> Tensor:
        """How far codes are from the mean, ``(n,)``."""
        return lengths(self.places(codes))

    def hold(self, places: Tensor) -> Tensor:
        """The same places, but those that are further out than the limit drawn back to it, or to
        what float32 cannot round to more.
        """
        limit = self.limit * (1 - 1e-5)
        share = limit / lengths(places).clamp(min=limit)
        return places * share[:, None, None]

    def along(self, places: Tensor, gradient: Tensor) -> Tensor:
        """The gradient of a loss at places, ``(n, p, k)``, without what leads out of the range:
        where a place lies at the limit, and the loss falls outwards, the part along it is taken
        away, so that a search comes to rest at the best place of the border.
        """
        square = places.square().sum((1, 2))
        outwards = (places * gradient).sum((1, 2))
        at_limit = at_border(lengths(places), self.limit)
        taken = torch.where(at_limit & (outwards < 0), outwards / square, 0.0)
        return gradient - taken[:, None, None] * places

    def _in_parts(self, codes: Tensor) -> Tensor:
        if len(self.shape) > 1:
            return by_position(codes, self.shape)
        parts: Tensor = codes.unflatten(1, (self.parts, -1))
        return parts


def lengths(places: Tensor) -> Tensor:
    """The distances ``(n,)`` of places ``(n, p, k)`` from the mean."""
    return places.square().sum(2).mean(1).sqrt()


def at_border(distances: Tensor, limit: float) -> Tensor:
    """Which distances ``(n,)`` are those of codes that are held back by the limit, or beyond it."""
    return distances >= limit * (1 - 1e-4)


def range_of(model: Model, samples: Tensor, *, seed: int = 0) -> CodeRange:
    """The range of a model, of which ``samples`` ``(m, d)`` are drawn.

    That of the standard normal prior is known. Of any other, as in w, mean and covariance are those
    of the samples, and the limit is the quantile of as many others, since the distances of those
    that a covariance was made of are too small. Where there are not four samples a variable, these
    are scaled each by itself.

    Example:
        >>> from latentmap.model.testing import LinearModel
        >>> model = LinearModel()  # Its four variables are uniform in [-1, 1], of variance 1 / 3.
        >>> found = range_of(model, model.sample(4096))
        >>> corner, middle = found.distances(torch.tensor([[1.0] * 4, [0.0] * 4])).tolist()
        >>> round(corner, 1), round(middle, 1), corner > found.limit
        (3.5, 0.0, True)
    """
    shape, parts = model.latent_shape, model.parts
    count = channels_of(shape)[1] if len(shape) > 1 else parts
    if model.standard_normal:
        ones = torch.ones(model.latent_dim // count, device=samples.device)
        limit = math.sqrt(_chi_square(model.latent_dim) / count)
        return CodeRange(samples.new_zeros(model.latent_dim), ones, ones, limit, 1.0, shape, parts)
    mean, ones = samples.mean(0), samples.new_ones(1)
    unscaled = CodeRange(mean, ones, ones, math.inf, 1.0, shape, parts)
    whiten, colour = _roots(unscaled.places(samples))
    spread = float(samples.var(0).mean().sqrt())
    found = CodeRange(mean, whiten, colour, math.inf, spread, shape, parts)
    fresh = found.distances(draw_samples(model, seed=seed, purpose="range"))
    limit = float(torch.quantile(fresh, INSIDE))
    return CodeRange(mean, whiten, colour, limit, spread, shape, parts)


def _scaled(parts: Tensor, root: Tensor) -> Tensor:
    return parts * root if root.ndim == 1 else parts @ root


def _roots(parts: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse root, and the root, of the covariance of the parts ``(m, p, k)`` of samples."""
    rows = parts.flatten(0, 1).double()
    if len(rows) < 4 * rows.shape[1]:
        values = rows.var(0)
        values = values.clamp(min=_LEAST * float(values.max()))
        return values.rsqrt().to(parts), values.sqrt().to(parts)
    values, vectors = torch.linalg.eigh(torch.cov(rows.t()))
    values = values.clamp(min=_LEAST * float(values[-1]))
    inverse, root = ((vectors * one) @ vectors.t() for one in (values.rsqrt(), values.sqrt()))
    return inverse.to(parts), root.to(parts)


def _chi_square(degrees: int) -> float:
    """The 99.9 % quantile of the squared length of a standard normal code."""
    from scipy.special import chdtri

    return float(chdtri(degrees, 1 - INSIDE))
