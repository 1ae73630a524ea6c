"""scikit-learn estimators over the methods, for pipelines and searches on plain arrays.

Shapes: ``n`` pairs, ``p`` source variables, ``q`` target variables. ``X`` is ``(n, p)``, ``y``
``(n, q)`` or ``(n,)``, float32 or float64, of which no copy is made; everything is computed in
float64. Moments are what an estimator learns
from, so ``partial_fit`` on parts gives the map of all rows, and ``sample_weight`` ``(n,)`` counts a
pair so many times.

Fitted attributes: ``coef_`` ``(q, p)`` or ``(p,)``, ``intercept_`` ``(q,)`` or a number, ``rank_``
and ``condition_`` as in ``Solution``, ``figures_`` what else the method found, and ``moments_``.
Ranks and numbers of components beyond what the codes allow mean the largest possible. The
parameters of each are the settings of its method, and ``fit_intercept``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    validate_data,
)

from latentmap.codes import Codes, Pairs, Space
from latentmap.codes.codes import ArrayRows
from latentmap.errors import MapError
from latentmap.frames import Frame
from latentmap.mapping.methods import METHODS, Method
from latentmap.mapping.moment_sums import MomentSums, Targets
from latentmap.mapping.moments import Moments
from latentmap.mapping.selection import generalised
from latentmap.mapping.solution import Solution

if TYPE_CHECKING:
    from typing_extensions import Self

# Singular values below this share of the largest are rounding, and not inverted.
_INVERTED = 1e-10
_FLOAT = (np.float64, np.float32)  # What is taken as it is; other numbers become the first.
_READ = 8192  # Rows at a time.


class _Map(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # scikit-learn has no types
    TransformerMixin,  # type: ignore[misc]
    RegressorMixin,  # type: ignore[misc]
    MultiOutputMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """What is common to all maps once they are fitted.

    A class of a ``method`` has its settings as parameters; what it names besides are their defaults
    here, and ``intercept=False`` is for methods that have none to choose.
    """

    _method: ClassVar[Method]

    if TYPE_CHECKING:

        def __init__(self, *settings: Any, **named: Any) -> None: ...

    def __init_subclass__(
        cls, *, method: str | None = None, intercept: bool = True, **defaults: Any
    ) -> None:
        super().__init_subclass__()
        if method is None:
            return
        cls._method = METHODS[method]
        parameters = cls._method.settings | defaults
        if intercept:
            parameters["fit_intercept"] = field(default=True, kw_only=True)
        for name, default in parameters.items():
            setattr(cls, name, default)
        cls.__annotations__ = dict.fromkeys(parameters, Any)
        # It writes the __init__ that scikit-learn reads the parameters from; equality and text stay
        # scikit-learn's.
        dataclass(eq=False, repr=False)(cls)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The target codes ``(n, q)`` of source codes; ``(n,)`` after a fit with such a target."""
        check_is_fitted(self, "coef_")
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        mapped: np.ndarray = rows @ self.coef_.T + self.intercept_
        return mapped

    def transform(self, X: ArrayLike) -> np.ndarray:
        """``predict``, as ``(n, q)`` always."""
        mapped = self.predict(X)
        return mapped.reshape(len(mapped), -1)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """The source codes ``(n, p)`` of smallest norm whose images are nearest to ``(n, q)``."""
        check_is_fitted(self, "coef_")
        rows = check_array(X, dtype=np.float64, ensure_2d=False)
        rows = rows.reshape(len(rows), -1)
        if rows.shape[1] != self._n_features_out:
            raise MapError(
                f"codes to be mapped back must have {self._n_features_out} variables, not "
                f"{rows.shape[1]}"
            )
        inverse = np.linalg.pinv(np.atleast_2d(self.coef_).T, rcond=_INVERTED)
        back: np.ndarray = (rows - self.intercept_) @ inverse
        return back

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Maps that are no regressions need not explain a target that is one.
        tags.regressor_tags.poor_score = self._method.family in ("orthogonal", "transport")
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(np.atleast_2d(self.coef_))

    def _read(
        self, X: ArrayLike, y: ArrayLike, *, first: bool, least: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The arrays ``(n, p)`` and ``(n, q)``, as they are where they are float."""
        rows, answers = validate_data(
            self,
            X,
            y,
            reset=first,
            dtype=list(_FLOAT),
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=least,
        )
        answers = check_array(answers, dtype=list(_FLOAT), ensure_2d=False, input_name="y")
        if first:
            self._flat = answers.ndim == 1
        return rows, answers.reshape(len(rows), -1)

    def _moments(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Moments:
        targets: Targets = "products" if "products" in self._method.needs else "squares"
        sums = MomentSums((x.shape[1], y.shape[1]), targets=targets)
        for start in range(0, len(x), _READ):
            rows = slice(start, start + _READ)
            weight = None if weights is None else _shared(weights[rows])
            sums.update([_shared(x[rows]), _shared(y[rows])], weight)
        return sums.moments().between(0, 1)

    def _solve(self, moments: Moments, **given: Any) -> Solution:
        settings = self._settings()
        used = moments if settings.pop("fit_intercept", True) else moments.about_zero()
        sizes = self._method.sizes
        if sizes is not None:
            settings[sizes.setting] = min(settings[sizes.setting], sizes.largest(moments))
        if self._method.ridge_like:
            if settings["penalty"] is None:
                choose = self._method.choose
                selection = choose(used, criterion="gcv", **given) if choose else generalised(used)
                settings |= selection.chosen
            self.penalty_ = settings["penalty"]
        return self._method.solve(used, **settings, **given)

    def _settings(self) -> dict[str, Any]:
        return dict(self.get_params(deep=False))

    def _keep(self, moments: Moments, solution: Solution) -> Self:
        self.moments_ = moments
        weight, bias = solution.weight.numpy(), solution.bias.numpy()
        self.coef_ = weight[:, 0].copy() if self._flat else weight.T.copy()
        self.intercept_ = float(bias[0]) if self._flat else bias.copy()
        self.rank_, self.condition_ = solution.rank, solution.condition
        self.figures_ = dict(solution.figures)
        return self


class _MomentMap(_Map):
    """A map that moments decide."""

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fits the map of all pairs; ``X`` ``(n, p)``, ``y`` ``(n, q)`` or ``(n,)``."""
        return self._learn(X, y, sample_weight, None, least=2)

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fits the map of these pairs and all earlier ones."""
        return self._learn(X, y, sample_weight, getattr(self, "moments_", None), least=1)

    def _learn(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        earlier: Moments | None,
        *,
        least: int,
    ) -> Self:
        x, answers = self._read(X, y, first=earlier is None, least=least)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, x, dtype=np.float64)
        moments = self._moments(x, answers, weights)
        if earlier is not None:
            moments = earlier.merge(moments)
        return self._keep(moments, self._solve(moments))


class LeastSquaresMap(_MomentMap, method="least-squares"):
    """Least squares: ``min |Yc - Xc W|^2``, the smallest map among equals."""


class RidgeMap(_MomentMap, method="ridge", penalty=None):
    """Ridge regression: ``min |Yc - Xc W|^2 + penalty |W|^2``.

    ``penalty=None`` chooses it by generalised cross-validation; ``penalty_`` is the one used.

    Example:
        >>> x = np.array([[-1.0], [1.0]])
        >>> RidgeMap(penalty=1.0).fit(x, 3 * x).coef_  # 6 / (2 + 1)
        array([[2.]])
    """


class PublishedMap(_MomentMap, method="published", intercept=False):
    """The objective of the published training, without intercept; see ``solve_published``."""


class ReducedRankMap(_MomentMap, method="reduced-rank", rank=2, penalty=None):
    """Ridge among the maps of at most ``rank``; ``penalty=None`` as in ``RidgeMap``."""


class ProcrustesMap(_MomentMap, method="procrustes"):
    """The orthogonal map nearest to the pairs: ``min |Yc - Xc W|``; see ``solve_procrustes``."""


class SimilarityMap(_MomentMap, method="similarity"):
    """An orthogonal map times one scale, ``figures_["scale"]``: ``min |Yc - s Xc W|``."""


class WhitenedProcrustesMap(_MomentMap, method="whitened-procrustes"):
    """Procrustes between codes that are whitened by ``whitening`` from 0 to 1."""


class PermutationMap(_MomentMap, method="permutation"):
    """The matching of single variables, ``signed`` or not, with the smallest squared error."""


class CCAMap(_MomentMap, method="regularised-cca", components=2, penalty=0.0):
    """Least squares through the leading canonical ``components``; see ``cca_maps``."""


class PLSMap(_MomentMap, method="pls", components=2):
    """Partial least squares (PLS2) with so many ``components``; see ``pls_maps``."""


class GaussianOTMap(_MomentMap, method="gaussian-ot", intercept=False):
    """Optimal transport between the Gaussians of both codes; see ``solve_gaussian_ot``."""


class SparseMap(_MomentMap, method="sparse", penalty=0.1):
    """Multi-task lasso or elastic net on standardised source codes; see ``solve_sparse``."""


class ErrorsInVariablesMap(_MomentMap, method="errors-in-variables", noise=None):
    """Ridge for source codes with ``noise`` of known variance ``(p,)``, None for no noise.

    ``codes`` are the ``means`` or ``samples`` of a posterior; see ``solve_errors_in_variables``.
    """

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        noise = np.zeros(self.n_features_in_) if settings["noise"] is None else settings["noise"]
        return settings | {"noise": torch.tensor(np.asarray(noise, dtype=np.float64))}


class RobustMap(_Map, method="robust", penalty=None):
    """Ridge in which pairs that do not fit lose weight; ``penalty=None`` as in ``RidgeMap``.

    It weighs the pairs itself and reads them several times, so it has neither ``sample_weight`` nor
    ``partial_fit``.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fits the map of all pairs; ``X`` ``(n, p)``, ``y`` ``(n, q)`` or ``(n,)``."""
        x, answers = self._read(X, y, first=True, least=2)
        moments = self._moments(x, answers)
        pairs = Pairs(_codes(x, "source"), _codes(answers, "target"))
        return self._keep(moments, self._solve(moments, pairs=pairs))


def _shared(rows: np.ndarray) -> torch.Tensor:
    """The rows, copied where torch could not share their memory: read-only or reversed."""
    return torch.from_numpy(np.require(rows, requirements=["C", "W"]))


def _codes(rows: np.ndarray, name: str) -> Codes:
    # Not `Codes.from_array`, which would round to float32.
    ids, digests = np.arange(len(rows)).astype(np.str_), np.zeros((len(rows), 16), dtype=np.uint8)
    space = Space("array", rows.shape[1], name, name)
    return Codes(ids, ArrayRows(_shared(rows).numpy()), space, Frame(), "", digests)
