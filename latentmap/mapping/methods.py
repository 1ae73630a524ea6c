"""The methods by which a map can be fitted: a record each, in one table.

A record says how a map is solved from moments, and all that choosing settings, commands and
estimators have to know of the method. One's own record works wherever a name does. Functions of the
table are imported when they are first used, so that a command can list the methods without torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, Literal

from latentmap.errors import MapError

if TYPE_CHECKING:
    from latentmap.mapping.moments import Moments
    from latentmap.mapping.selection import Selection
    from latentmap.mapping.solution import Solution

# noise: a setting of this name, the variances of the source codes; pairs: an argument of this name,
# because rows are read; products: moments with all products of the target variables.
# units: an argument of this name, the units of the pairs, None where each pair is one.
Need = Literal["noise", "pairs", "products", "units"]


@dataclass(frozen=True)
class Sizes:
    """How a method gives the maps of all sizes from one decomposition.

    ``setting`` is the name of the size, ``maps(moments, **settings)`` without it gives a function
    from a size to its solution, and ``largest(moments)`` is the largest size that can be. Of maps
    that are ``NestedMaps`` the errors of all sizes are found together.
    """

    setting: str
    maps: Callable[..., Callable[[int], Solution]]
    largest: Callable[[Moments], int]


@dataclass(frozen=True)
class Method:
    """A method to fit a map: ``solve(moments, **settings)`` gives the solution.

    The settings are the further arguments of ``solve``. One without a default is chosen by k-fold
    from its ``candidates``, numbers or a function ``(moments, settings)`` that gives them, where
    the settings are those known before; without candidates it has to be given. ``sizes`` make
    candidates of a rank or a number of components. ``path(moments)`` gives a function of the
    settings that gives what ``solve`` gives, faster where it starts from the solution before.

    ``needs`` are what the method takes besides moments of any kind. ``ridge_like`` methods have the
    ``penalty`` of ridge, for whose choice leave-one-out errors have a closed form; ``refinable``
    ones are ridge with that penalty, or none. One whose errors are not those of ridge has
    ``choose(moments, pairs=, criterion=, units=, progress=)``, which gives the selection.
    ``family`` and ``description`` say what it is.
    """

    name: str
    solve: Callable[..., Solution]
    family: str = ""
    description: str = ""
    needs: tuple[Need, ...] = ()
    ridge_like: bool = False
    refinable: bool = False
    sizes: Sizes | None = None
    path: Callable[[Moments], Callable[..., Solution]] | None = None
    choose: Callable[..., Selection] | None = None
    candidates: Mapping[
        str, Sequence[float] | Callable[[Moments, Mapping[str, Any]], Sequence[float]]
    ] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings by name with their defaults, ``inspect.Parameter.empty`` for none."""
        _, *rest = signature(self.solve).parameters.values()
        return {one.name: one.default for one in rest if one.name not in ("pairs", "units")}

    @property
    def free(self) -> tuple[str, ...]:
        """The settings that are chosen from the pairs unless they are given."""
        return tuple(
            name
            for name, default in self.settings.items()
            if default is Parameter.empty and name not in self.needs
        )


def find_method(method: str | Method) -> Method:
    """The record of a name; a record is given back.

    Raises:
        MapError: the name is not in ``METHODS``.
    """
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        close = difflib.get_close_matches(method, METHODS, n=1)
        nearest = f" (did you mean {close[0]}?)" if close else ""
        raise MapError(f"unknown method {method!r}{nearest}: choose one of {', '.join(METHODS)}")
    return METHODS[method]


@dataclass(frozen=True)
class _Later:
    """A function of this wing, ``"module:function"``, that is imported when it is first used."""

    reference: str

    def __call__(self, *given: Any, **settings: Any) -> Any:
        return self._function(*given, **settings)

    @property
    def __signature__(self) -> Signature:
        return signature(self._function)

    @property
    def _function(self) -> Callable[..., Any]:
        module, _, name = self.reference.partition(":")
        function: Callable[..., Any] = getattr(import_module(f"latentmap.mapping.{module}"), name)
        return function


def _smaller(moments: Moments) -> int:
    return min(moments.p, moments.q)


_RIDGE_PENALTIES = {"penalty": _Later("selection:ridge_penalties")}

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            "least-squares",
            _Later("regression:solve_least_squares"),
            family="regression",
            description="the best affine map; of several the smallest",
            refinable=True,
        ),
        Method(
            "ridge",
            _Later("regression:solve_ridge"),
            family="regression",
            description="least squares with a penalty on the squared weights (the default)",
            ridge_like=True,
            refinable=True,
            candidates=_RIDGE_PENALTIES,
        ),
        Method(
            "published",
            _Later("regression:solve_published"),
            family="regression",
            description="the closed form of the penalised objective that was published with Adam",
        ),
        Method(
            "reduced-rank",
            _Later("regression:solve_reduced_rank"),
            family="regression",
            description="ridge through so many directions",
            ridge_like=True,
            sizes=Sizes("rank", _Later("regression:reduced_rank_maps"), _smaller),
        ),
        Method(
            "procrustes",
            _Later("orthogonal:solve_procrustes"),
            family="orthogonal",
            description="a rotation, between spaces of any sizes",
        ),
        Method(
            "similarity",
            _Later("orthogonal:solve_similarity"),
            family="orthogonal",
            description="a rotation with a scale",
        ),
        Method(
            "whitened-procrustes",
            _Later("orthogonal:solve_whitened_procrustes"),
            family="orthogonal",
            description="a rotation between partly whitened codes",
            needs=("products",),
        ),
        Method(
            "permutation",
            _Later("orthogonal:solve_permutation"),
            family="orthogonal",
            description="one variable to one variable, with or without signs",
        ),
        Method(
            "cca",
            _Later("projections:solve_cca"),
            family="projections",
            description="through so many canonical components",
            needs=("products",),
            sizes=Sizes("components", _Later("projections:cca_maps"), _smaller),
        ),
        Method(
            "regularised-cca",
            _Later("projections:solve_regularised_cca"),
            family="projections",
            description="through canonical components with a penalty",
            needs=("products",),
            sizes=Sizes("components", _Later("projections:cca_maps"), _smaller),
            candidates={"penalty": _Later("selection:cca_penalties")},
        ),
        Method(
            "pls",
            _Later("projections:solve_pls"),
            family="projections",
            description="through so many components of partial least squares",
            sizes=Sizes("components", _Later("projections:pls_maps"), lambda moments: moments.p),
        ),
        Method(
            "gaussian-ot",
            _Later("transport:solve_gaussian_ot"),
            family="transport",
            description="optimal transport between the clouds: the baseline that needs no pairs",
            needs=("products",),
        ),
        Method(
            "sparse",
            _Later("sparse:solve_sparse"),
            family="sparse",
            description="multi-task lasso or elastic net: which source variables matter",
            path=_Later("sparse:sparse_path"),
            candidates={"penalty": _Later("sparse:sparse_penalties")},
        ),
        Method(
            "robust",
            _Later("robust:solve_robust"),
            family="robust",
            description="ridge in which whole pairs that do not fit lose their weight",
            needs=("pairs", "units"),
            ridge_like=True,
            choose=_Later("robust:choose_robust_penalty"),
        ),
        Method(
            "errors-in-variables",
            _Later("regression:solve_errors_in_variables"),
            family="regression",
            description="ridge for codes that will be sampled from a VAE's posterior",
            needs=("noise",),
        ),
    )
}
