"""How sure a map is: the covariance of its predictions, and of a direction that it carries.

Both are those of multivariate regression (Johnson and Wichern, section 7.7), with the penalty ``a``
of a ridge taken into account: ``S`` is the covariance of the residuals, ``G = Xc'Xc``, about zero
for a map without intercept. For maps of other methods they are those of least squares with the
residuals of the map.

Shapes: ``n`` codes, ``p`` source variables, ``q`` target variables, ``k`` directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.errors import MapError
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.moments import Moments


@dataclass(frozen=True, eq=False)
class Prediction:
    """Mapped codes ``mean`` ``(n, q)``; that of row ``i`` has ``scale[i] * covariance``."""

    mean: Tensor
    covariance: Tensor
    scale: Tensor

    @property
    def variances(self) -> Tensor:
        """Of every variable of every code, ``(n, q)``."""
        return torch.outer(self.scale, self.covariance.diagonal())


@dataclass(frozen=True, eq=False)
class CarriedDirections:
    """Directions ``(k, q)`` in the target, and the standard errors of their entries.

    ``certainty`` ``(k,)`` is the length of a direction over that of its standard errors: about 1 is
    no more than noise.
    """

    directions: Tensor
    standard_error: Tensor
    certainty: Tensor


def predict(linear_map: LinearMap, codes: Tensor) -> Prediction:
    """The mapped codes of source codes ``(n, p)``, with the covariance of what is predicted.

    The scale is ``1 + 1/n + (x - mean)' (G + aI)^-1 (x - mean)``, over the pairs of the fit; a map
    without intercept has no ``1/n``.

    Raises:
        MapError: the shape does not fit, the map knows no pairs, or there are too few.
    """
    mean = linear_map.apply(codes)
    moments = _moments(linear_map, "the covariance of predictions")
    values, directions = _shrunk(linear_map, moments)
    away = (codes.to(moments.mean_x) - moments.mean_x) @ directions
    scale = 1 + moments.centred / moments.n + (away.square() / values).sum(1)
    return Prediction(mean.double(), _residual_covariance(linear_map, moments), scale)


def carry(linear_map: LinearMap, directions: Tensor) -> CarriedDirections:
    """Directions ``(k, p)`` of the source, such as one that edits images, in the target.

    The covariance of ``d W`` is ``S d' (G + aI)^-1 G (G + aI)^-1 d``.

    Raises:
        MapError: the shape does not fit, the map knows no pairs, or there are too few.
    """
    p = len(linear_map.weight)
    if directions.ndim != 2 or directions.shape[1] != p:
        raise MapError(f"directions must have shape (k, {p}), not {tuple(directions.shape)}")
    moments = _moments(linear_map, "the uncertainty of a direction")
    given = directions.to(linear_map.weight)
    values, axes = _shrunk(linear_map, moments)
    spread = moments.source_spectrum.values
    factor = ((given @ axes).square() * spread / values.square()).sum(1)
    errors = torch.outer(factor, _residual_covariance(linear_map, moments).diagonal()).sqrt()
    carried = given @ linear_map.weight
    return CarriedDirections(carried, errors, carried.norm(dim=1) / errors.norm(dim=1))


def _moments(linear_map: LinearMap, what: str) -> Moments:
    """The moments that the map was solved from: about zero where it has no intercept."""
    moments = linear_map.require_moments(what)
    return moments if linear_map.record.get("intercept", True) else moments.about_zero()


def _shrunk(linear_map: LinearMap, moments: Moments) -> tuple[Tensor, Tensor]:
    """The eigenvalues of ``G + aI`` and their directions; only ridge has its penalty there."""
    spectrum = moments.source_spectrum
    penalty = linear_map.settings.get("penalty", 0.0) if linear_map.method == "ridge" else 0.0
    return spectrum.values + penalty, spectrum.directions


def _residual_covariance(linear_map: LinearMap, moments: Moments) -> Tensor:
    freedom = moments.n - len(moments.source_spectrum.values) - moments.centred
    if not freedom > 0:
        raise MapError(
            f"{moments.n:g} pairs leave nothing to judge the residuals of a map of rank "
            f"{linear_map.rank} by: fit it on more"
        )
    weight = linear_map.weight
    crossed = weight.T @ moments.xy
    products = moments.products_y - crossed - crossed.T + weight.T @ moments.xx @ weight
    missed = moments.mean_y - moments.mean_x @ weight - linear_map.bias
    covariance: Tensor = (products + moments.n * torch.outer(missed, missed)) / freedom
    # The residuals of an exact map are rounding, by which a variance may fall below zero.
    covariance.diagonal().clamp_(min=0)
    return covariance
