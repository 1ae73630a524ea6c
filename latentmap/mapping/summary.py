"""What a map says of itself: how it was fitted, and what it explains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from latentmap.mapping.explaining import (
    effective_rank,
    explained,
    explained_per_variable,
    factor_shares,
    relevance,
)

if TYPE_CHECKING:
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.mapping.stored_map import StoredMap


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """The settings of a method.

    Example:
        >>> settings_in_words({"penalty": 0.5, "l1_ratio": 1})
        'penalty 0.5, l1_ratio 1'
    """
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in settings.items()
    )


def provenance_of(linear_map: LinearMap | StoredMap) -> dict[str, Any]:
    """Between which spaces a map is, and what it was fitted by, as JSON has it."""
    return {
        "source": linear_map.source.to_json(),
        "target": linear_map.target.to_json(),
        "method": linear_map.method,
        "settings": dict(linear_map.settings),
        "n_pairs": linear_map.n_pairs,
        **({"patches": linear_map.patches.to_json()} if linear_map.patches else {}),
    }


def describe(linear_map: LinearMap | StoredMap) -> dict[str, Any]:
    """Spaces, method, settings and record of a map, as JSON has them.

    With the moments of its pairs also what it explains of the target's variance (``explained`` and
    ``explained_per_variable``), its ``effective_rank``, and the ``relevance`` of each source
    variable, all over these pairs.
    """
    record = linear_map.record
    description: dict[str, Any] = {
        **provenance_of(linear_map),
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
        description |= {
            "explained": explained(moments, weight, bias),
            "effective_rank": effective_rank(factor_shares(moments, weight)),
            "explained_per_variable": explained_per_variable(moments, weight, bias).tolist(),
            "relevance": relevance(moments, linear_map.penalty or 0.0).tolist(),
        }
    return description
