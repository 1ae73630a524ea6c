"""The methods by which a map can be fitted: a name, and a function on moments.

A map is ``y = x W + b`` with ``W`` ``(p, q)`` and ``b`` ``(q,)``; everything is float64. Moments
about zero give maps without intercept.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature

from latentmap.mapping.moments import Moments
from latentmap.mapping.orthogonal import (
    solve_permutation,
    solve_procrustes,
    solve_similarity,
    solve_whitened_procrustes,
)
from latentmap.mapping.projections import (
    cca_family,
    pls_family,
    solve_cca,
    solve_pls,
    solve_regularised_cca,
)
from latentmap.mapping.regression import (
    reduced_rank_family,
    solve_errors_in_variables,
    solve_least_squares,
    solve_published,
    solve_reduced_rank,
    solve_ridge,
)
from latentmap.mapping.robust import solve_robust
from latentmap.mapping.solution import Solution
from latentmap.mapping.sparse import solve_sparse
from latentmap.mapping.transport import solve_gaussian_ot

# What a user may choose; an argument without default is one that is chosen from the pairs.
SOLVERS: dict[str, Callable[..., Solution]] = {
    "least-squares": solve_least_squares,
    "ridge": solve_ridge,
    "published": solve_published,
    "reduced-rank": solve_reduced_rank,
    "procrustes": solve_procrustes,
    "similarity": solve_similarity,
    "whitened-procrustes": solve_whitened_procrustes,
    "permutation": solve_permutation,
    "cca": solve_cca,
    "regularised-cca": solve_regularised_cca,
    "pls": solve_pls,
    "gaussian-ot": solve_gaussian_ot,
    "sparse": solve_sparse,
    "robust": solve_robust,
    "errors-in-variables": solve_errors_in_variables,
}

# Methods whose maps of all sizes come from one decomposition, and the name of that size.
FAMILIES: dict[str, tuple[str, Callable[..., Callable[[int], Solution]]]] = {
    "reduced-rank": ("rank", reduced_rank_family),
    "cca": ("components", cca_family),
    "regularised-cca": ("components", cca_family),
    "pls": ("components", pls_family),
}


def options_of(method: str) -> dict[str, Parameter]:
    """The options of a method by their names."""
    parameters = dict(signature(SOLVERS[method]).parameters)
    return {name: value for name, value in parameters.items() if name not in ("moments", "pairs")}


def largest_size(method: str, moments: Moments) -> int:
    """The largest rank, or number of components, that a method of ``FAMILIES`` can have."""
    return moments.p if method == "pls" else min(moments.p, moments.q)
