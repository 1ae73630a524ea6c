"""The table that says which of several spaces are the same."""

from __future__ import annotations

from latentmap.comparison.result import ModelComparison
from latentmap.comparison.sameness import AFFINE, TOLERANCE
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import in_percent, pair_id

_LEFT = "share of the variance of held-out codes that is left"


def sameness_table(result: ModelComparison) -> Table:
    """By which change each two spaces of one shape are the same, and what that and others leave."""
    columns = [
        Column("between"),
        Column("and"),
        Column("same up to", "the simplest change that holds in both directions"),
        Column("left", f"{_LEFT} by it; where they are not the same by any affine map", "low", 4),
        Column("as they are", _LEFT, "low", 4),
        Column("by a rotation", f"{_LEFT}, with one scale and a shift each", "low", 4),
        Column("by an affine map", _LEFT, "low", 4),
    ]
    rows = []
    for one in result.same:
        left = [one.left[name] for name in ("identity", "rotation", "affine")]
        names = [result.models[number].label for number in (one.first, one.second)]
        cells: list[Cell] = [*names, one.in_words, Measure.of(one.residual)]
        cells += [each.value for each in left]
        rows.append(Row(cells, pair_id(one.first, one.second)))
    note = (
        f"Two spaces are the same up to a change that leaves at most {in_percent(TOLERANCE)} of "
        f"the variance, and within its interval not more than {AFFINE:g} times what the best "
        "affine map of channels leaves; the worse of both directions. Between spaces of other "
        "shapes there is no such change."
    )
    return Table("Same space?", columns, rows, "\n".join([*sameness_in_words(result), note]))


def sameness_in_words(result: ModelComparison) -> list[str]:
    """Which spaces are the same, and of those that are not, though an affine map leaves little, how
    little that is.
    """
    said = []
    for one in result.same:
        first, second = (result.models[number].label for number in (one.first, one.second))
        rotation, affine = one.left["rotation"].value, one.left["affine"].value
        if one.change is not None:
            said.append(f"{first} and {second} are the same space up to {one.in_words}")
        elif affine <= TOLERANCE:
            said.append(
                f"{first} and {second} hold the same but for {in_percent(affine, 1)} of the "
                f"variance, which an affine map leaves; a rotation leaves {in_percent(rotation, 1)}"
            )
    return said
