"""The tables of how sure a map is: of directions that it carries, and of codes that it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentmap.report import Cell, Column, Measure, Row, Table

if TYPE_CHECKING:
    from latentmap.mapping.uncertainty import CarriedDirections, Prediction

MOST_ROWS = 20  # That a terminal shows.


def directions_table(carried: CarriedDirections, *, most: int | None = None) -> Table:
    """How long each direction is in the target, how sure, and in which variable it is surest; of
    the first ``most``.
    """
    columns = [
        Column("direction"),
        Column("length", "in the target space", decimals=3),
        Column("standard error", "the length of those of its entries", decimals=3),
        Column("certainty", "length over standard error: about 1 is no more than noise", "high", 2),
        Column("surest variable", "of the target, with its entry"),
        Column("entry", decimals=3),
    ]
    low, high = carried.interval()
    sureness = carried.directions.abs() / carried.standard_error
    rows = []
    for place in range(len(carried.directions))[:most]:
        variable = int(sureness[place].nan_to_num(-1).argmax())
        value, *ends = (float(part[place, variable]) for part in (carried.directions, low, high))
        cells: list[Cell] = [
            place,
            carried.directions[place].norm().item(),
            carried.standard_error[place].norm().item(),
            carried.certainty[place].item(),
            variable,
            Measure(value, ends[0], ends[1]),
        ]
        rows.append(Row(cells))
    certainty = carried.certainty.tolist()
    of_one = (
        f"the direction arrives {certainty[0]:.1f} times as long as its standard error; about 1 "
        "would be no more than noise"
    )
    notes = [
        of_one if len(certainty) == 1 else "",
        f"in {carried.directions.shape[1]:,} variables of the target, by {carried.freedom:.0f} "
        "degrees of freedom; in brackets 95 % intervals",
        _of_how_many(len(rows), len(carried.directions), "directions"),
    ]
    return Table("Directions carried to the target", columns, rows, "\n".join(filter(None, notes)))


def prediction_table(prediction: Prediction, *, most: int | None = None) -> Table:
    """How wide the interval of each predicted code is, on average over its variables; of the first
    ``most``.
    """
    columns = [
        Column("code"),
        Column("length", "of the predicted code", decimals=3),
        Column("deviation", "of the target's own code about it: root mean square", "low", 3),
        Column("scale", "of its covariance: 1 and more, the further from the fit", "low", 3),
    ]
    lengths, deviations = prediction.mean.norm(dim=1), prediction.variances.mean(1).sqrt()
    every = zip(lengths.tolist(), deviations.tolist(), prediction.scale.tolist(), strict=True)
    rows = [Row([place, *cells]) for place, cells in enumerate(list(every)[:most])]
    notes = [
        f"in {prediction.mean.shape[1]:,} variables of the target, by {prediction.freedom:.0f} "
        "degrees of freedom",
        _of_how_many(len(rows), len(prediction.mean), "codes"),
    ]
    return Table("Predicted codes", columns, rows, "\n".join(filter(None, notes)))


def _of_how_many(shown: int, n: int, what: str) -> str:
    return f"the first {shown} of {n:,} {what}" if shown < n else ""
