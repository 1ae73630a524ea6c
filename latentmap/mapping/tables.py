"""The tables of a map: what it is and explains, and the factors that its spaces share."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from latentmap.mapping.held_out_error import held_out_error
from latentmap.mapping.map_checks import TRUNCATION
from latentmap.mapping.summary import describe, settings_in_words
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import images_in_words

if TYPE_CHECKING:
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.mapping.shared_rank import SharedRank
    from latentmap.mapping.spectrum import SharedFactors
    from latentmap.mapping.stored_map import StoredMap

_LISTED = 8  # Variables, or factors, that a table names.


def map_table(linear_map: LinearMap | StoredMap) -> Table:
    """Its spaces, how it was fitted, and what it explains over the pairs of the fit."""
    description = describe(linear_map)
    record = linear_map.record
    truncation = record.get(TRUNCATION)
    cells: dict[str | Column, Cell] = {
        **{name: _end(linear_map, name) for name in ("source", "target")},
        "method": linear_map.method,
        "settings": settings_in_words(linear_map.settings) or None,
        "chosen by": ", ".join(map(_criterion, description["selection"])) or None,
        "patches": str(linear_map.patches) if linear_map.patches else None,
        "pairs": linear_map.n_pairs,
        "truncation of samples": None if truncation is None else f"{truncation:g}",
        "rank": linear_map.rank,
        "condition": linear_map.condition,
        **{name.replace("_", " "): value for name, value in linear_map.figures.items()},
    }
    note = ""
    if "explained" in description:
        rows = "cells of the images" if linear_map.patches else "pairs"
        note = f"R2, the effective rank and what stands of variables are over the {rows} of the fit"
        cells |= {
            Column("R2", decimals=4): description["explained"],
            "effective rank": description["effective_rank"],
            "R2 of target variables": _largest(description["explained_per_variable"]),
            "lost without source variables": _largest(description["relevance"]),
        }
    cells |= _held_out(linear_map)
    made_of = "; ".join(part["map"] for part in record.get("made_of", ()))
    cells |= {"made of": made_of or None, "command": record.get("command")}
    return Table.of_one("Map", cells, note)


def factors_table(factors: SharedFactors, rank: SharedRank) -> Table:
    """The leading factors that two spaces share, and how many there are."""
    columns = [
        Column("factor"),
        Column("target share", "of the target's variance", "high", 4),
        Column("source share", "of the source's variance", decimals=4),
        Column("correlation", "of the predicted with the true target score", "high", 4),
        Column("held-out gain", "of R2", "high", 5),
        Column("p", "how often random pairings gain as much", decimals=3),
    ]
    parts = (factors.share, factors.source_share, factors.correlation, rank.gains, rank.p_values)
    shown = min(_LISTED, len(factors.share), len(rank.gains))
    rows = [Row([k + 1, *(float(part[k]) for part in parts)]) for k in range(shown)]
    return Table("Shared factors", columns, rows, str(rank))


def _held_out(linear_map: LinearMap | StoredMap) -> dict[str | Column, Cell]:
    """What it loses on images that it was not fitted on, where its file says so."""
    found = held_out_error(linear_map)
    if found is None:
        return {}
    images = images_in_words(found.n_test, found.n_units)
    return {
        Column("held-out R2", decimals=3): Measure.of(found.r2, f"over {images}"),
        Column("held-out L_mse", decimals=4): Measure.of(found.l_mse),
        Column("held-out PSNR", decimals=1): Measure.of(found.psnr, "dB")
        if math.isfinite(found.psnr.value)
        else None,
    }


def _criterion(selection: Mapping[str, Any]) -> str:
    """What chose a setting, and what it left out where that is not single pairs."""
    units = selection["n_units"]
    return str(selection["criterion"]) + (f" over {units:,} groups" if units else "")


def _end(linear_map: LinearMap | StoredMap, name: str) -> str:
    """One of the two spaces, and how its model was called."""
    space, reference = getattr(linear_map, name), getattr(linear_map, f"{name}_reference")
    return f"{space}, {reference}" if reference else str(space)


def _largest(values: Sequence[float]) -> str:
    """The variables with the largest values, and the median."""
    order = sorted((i for i, one in enumerate(values) if one == one), key=lambda i: -values[i])
    named = ", ".join(f"{i}: {values[i]:.4g}" for i in order[:_LISTED])
    middle = statistics.median(values[i] for i in order) if order else math.nan
    return f"{named}; median {middle:.4g}"
