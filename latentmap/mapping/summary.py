"""What a map says of itself: how it was fitted, and what it explains."""

from __future__ import annotations

from typing import Any

from latentmap.mapping.linear_map import LinearMap
from latentmap.mapping.spectrum import (
    effective_rank,
    explained_per_variable,
    relevance,
    shared_factors,
)


def describe(linear_map: LinearMap) -> dict[str, Any]:
    """Spaces, method, settings and record of a map, as JSON has them.

    With the moments of its pairs also what it explains of the target's variance (``explained`` and
    ``explained_per_variable``), its ``effective_rank``, and the ``relevance`` of each source
    variable, all over these pairs.
    """
    record = linear_map.record
    description: dict[str, Any] = {
        **linear_map.provenance,
        "figures": dict(linear_map.figures),
        "rank": linear_map.rank,
        "condition": linear_map.condition,
        "selection": [
            {name: part.get(name) for name in ("criterion", "n_units", "chosen")}
            for part in record.get("selection", ())
        ],
        "record": {name: value for name, value in record.items() if name != "selection"},
    }
    moments = linear_map.moments
    if moments is not None:
        weight, bias = linear_map.weight, linear_map.bias
        missed = moments.squared_error(weight, bias).sum()
        description |= {
            "explained": 1 - float(missed / moments.squares_y.sum()),
            "effective_rank": effective_rank(shared_factors(moments, weight).share),
            "explained_per_variable": explained_per_variable(moments, weight, bias).tolist(),
            "relevance": relevance(moments, linear_map.penalty or 0.0).tolist(),
        }
    return description
