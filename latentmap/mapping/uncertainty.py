"""How sure a map is: the covariance of its predictions, and of a direction that it carries.

For least squares these are those of multivariate regression (Johnson and Wichern, section 7.7).
With the penalty ``a`` of a ridge a map has ``d = tr H`` degrees of freedom, the trace of its hat
matrix. For maps of other methods they are those of least squares with the residuals of the map: too
wide where it has fewer degrees of freedom, and nothing is said of what its form misses. All take
pairs to be independent of each other.

Variances, and so all intervals and standard errors, are from all pairs of the fit. Of a map of more
than 4,096 pairs the correlations between the target variables of a prediction are those of a sample
(``sampled_products``), unless its method needed the products of all.

Shapes: ``n`` codes, ``p`` source variables, ``q`` target variables, ``k`` directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.arrays import Numbers, as_tensor
from latentmap.codes import Codes
from latentmap.errors import MapError
from latentmap.intervals import student_quantile
from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.moments import Moments
from latentmap.mapping.patch_maps import require_flat
from latentmap.mapping.regression import solve_least_squares
from latentmap.mapping.solution import Solution
from latentmap.mapping.uncertainty_tables import MOST_ROWS, directions_table, prediction_table
from latentmap.report import Shown, Table

# Methods whose map is ridge of the moments that it keeps, with its penalty.
_RIDGES = ("ridge", "robust")
_ALONG = 1e-12  # Share of a squared length below which it is rounding.


@dataclass(frozen=True, eq=False)
class Prediction(Shown):
    """Mapped codes ``mean`` ``(n, q)``; that of row ``i`` has ``scale[i] * covariance``.

    ``freedom`` is the number of degrees of freedom that the covariance is judged by.
    """

    mean: Tensor
    covariance: Tensor
    scale: Tensor
    freedom: float

    def __repr__(self) -> str:
        n, q = self.mean.shape
        return f"<Prediction of {n:,} codes in {q:,} variables>"

    def tables(self) -> list[Table]:
        return [prediction_table(self, most=MOST_ROWS)]

    def whole_tables(self) -> list[Table]:
        return [prediction_table(self)]

    @property
    def variances(self) -> Tensor:
        """Of every variable of every code, ``(n, q)``."""
        return torch.outer(self.scale, self.covariance.diagonal())

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """Where a target code lies, variable by variable, with the probability ``level``: the ends
        ``(n, q)``, by Student's t.

        Raises:
            MapError: the level is not between 0 and 1.
        """
        reach = _reach(level, self.freedom) * self.variances.sqrt()
        return self.mean - reach, self.mean + reach


@dataclass(frozen=True, eq=False)
class CarriedDirections(Shown):
    """Directions ``(k, q)`` in the target, and the standard errors of their entries.

    ``certainty`` ``(k,)`` is the length of a direction over that of its standard errors: about 1 is
    no more than noise. ``freedom`` is the number of degrees of freedom of the errors.
    """

    directions: Tensor
    standard_error: Tensor
    certainty: Tensor
    freedom: float

    def __repr__(self) -> str:
        k, q = self.directions.shape
        most = f", certainty up to {self.certainty.max().item():.2g}" if k else ""
        return f"<CarriedDirections: {k:,} in {q:,} variables{most}>"

    def tables(self) -> list[Table]:
        return [directions_table(self, most=MOST_ROWS)]

    def whole_tables(self) -> list[Table]:
        return [directions_table(self)]

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """Where the entries lie with the probability ``level``: the ends ``(k, q)``, by Student's
        t.

        Raises:
            MapError: the level is not between 0 and 1.
        """
        reach = _reach(level, self.freedom) * self.standard_error
        return self.directions - reach, self.directions + reach


def predict(linear_map: LinearMap, codes: Codes | Numbers) -> Prediction:
    """The mapped codes of source codes ``(n, p)``, with the covariance of what is predicted.

    The covariance is that of the residuals over ``n - d``; the scale is ``1 + 1/n + (x - mean)' (G
    + aI)^-1 (x - mean)``, over the pairs of the fit; a map without intercept has no ``1/n``.

    Raises:
        SpaceError: the codes say that they are in another space than the map's source.
        MapError: the shape does not fit, the map is of patches or knows no pairs, or there are too
            few.
    """
    moments, penalty = _moments(linear_map, "the covariance of predictions"), _penalty(linear_map)
    if isinstance(codes, Codes):
        linear_map.source.require(codes.space, "codes for this map")
        codes = codes.vectors
    given = as_tensor(codes, "codes for this map", error=MapError)
    mean = linear_map.apply(given)
    away = given.to(moments.mean_x) - moments.mean_x
    spectrum = moments.source_spectrum
    total, along = away.square().sum(1), (away @ spectrum.directions).square()
    scale = 1 + moments.centred / moments.n + (along / (spectrum.values + penalty)).sum(1)
    if penalty > 0:
        # Where no pair varies a penalty decides alone.
        outside = total - along.sum(1)
        scale += torch.where(outside > _ALONG * total, outside / penalty, 0.0)
    free, freedom = _freedom(moments, penalty)
    covariance = _residual_products(linear_map, moments) / free
    return Prediction(mean.double(), covariance, scale, freedom)


def carry(linear_map: LinearMap, directions: Numbers) -> CarriedDirections:
    """Directions ``(k, p)`` of the source, such as one that edits images, in the target.

    The covariance of ``d W`` is ``S d' G^-1 d``. A penalty shrinks ``d W`` towards zero by an error
    that no spread shows, so the directions of ridge and robust maps are those of the same pairs
    without it: ``d G^-1 C``. Where pairs are few that is wider, and true.

    Raises:
        MapError: the shape does not fit, the map is of patches or knows no pairs, or there are no
            more of them than variables.
    """
    moments = _moments(linear_map, "the uncertainty of a direction")
    directions = as_tensor(directions, "directions", error=MapError)
    p = len(linear_map.weight)
    if directions.ndim != 2 or directions.shape[1] != p:
        raise MapError(f"directions must have shape (k, {p}), not {tuple(directions.shape)}")
    fitted = solve_least_squares(moments) if linear_map.method in _RIDGES else linear_map
    given = directions.to(fitted.weight)
    spectrum = moments.source_spectrum
    factor = ((given @ spectrum.directions).square() / spectrum.values).sum(1)
    free, freedom = _freedom(moments, 0.0)
    covariance = _residual_products(fitted, moments) / free
    errors = torch.outer(factor, covariance.diagonal()).sqrt()
    carried = given @ fitted.weight
    return CarriedDirections(carried, errors, carried.norm(dim=1) / errors.norm(dim=1), freedom)


def _reach(level: float, freedom: float) -> float:
    """Half of an interval, in standard errors."""
    if not 0 < level < 1:
        raise MapError(f"the level of an interval must be between 0 and 1, not {level:g}")
    return student_quantile((1 + level) / 2, freedom)


def _moments(linear_map: LinearMap, what: str) -> Moments:
    """The moments that the map was solved from: about zero where it has no intercept."""
    # Cells of one image are not independent of each other.
    require_flat(linear_map, what)
    moments = linear_map.require_moments(what)
    return moments if linear_map.record.get("intercept", True) else moments.about_zero()


def _penalty(linear_map: LinearMap) -> float:
    """What is added to the eigenvalues of ``G``; 0 for methods that are no ridge."""
    return float(linear_map.settings["penalty"]) if linear_map.method in _RIDGES else 0.0


def _freedom(moments: Moments, penalty: float) -> tuple[float, float]:
    """``n - d``, what the products of the residuals are divided by, and their degrees of freedom.

    A residual along a direction of eigenvalue ``s`` counts by ``a / (s + a)``; that a sum of terms
    which count unequally is judged by fewer of them is said by its degrees of freedom
    (Satterthwaite 1946).
    """
    values = moments.source_spectrum.values
    shares = penalty / (values + penalty)
    left = moments.n - len(values) - moments.centred
    free = left + float(shares.sum())
    if free < 1:
        raise MapError(
            f"{moments.n:g} pairs leave nothing to judge the residuals of a map of rank "
            f"{len(values)} by: fit it on more"
        )
    return free, free**2 / (left + float(shares.square().sum()))


def _residual_products(fitted: LinearMap | Solution, moments: Moments) -> Tensor:
    """The products ``(q, q)`` of the residuals of all pairs."""
    spectrum = moments.source_spectrum
    # Along the directions of the source first: from products alone small residuals were rounding.
    roots = spectrum.values.sqrt()[:, None]
    scores = spectrum.directions.T @ moments.xy / roots
    along = scores - roots * (spectrum.directions.T @ fitted.weight)
    products = along.T @ along
    # The directions of fewer pairs than variables hold all there is.
    if len(spectrum.values) < moments.n - moments.centred:
        products += moments.judged_products_y - scores.T @ scores
    missed = moments.mean_y - moments.mean_x @ fitted.weight - fitted.bias
    products += moments.n * torch.outer(missed, missed)
    # The residuals of an exact map are rounding, by which a variance may fall below zero.
    products.diagonal().clamp_(min=0)
    return products
