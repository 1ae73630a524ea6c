"""The tables of an ordering of variables: their gains, and how it came about."""

from __future__ import annotations

from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import in_percent
from latentmap.support.ordering import Ordering


def gains_table(ordering: Ordering) -> Table:
    """The variables, or channels, that do something, the strongest first."""
    columns = [
        Column(ordering.what),
        Column(ordering.by, "", "high", 6),
        Column("images", "measured on"),
    ]
    rows = [
        Row(
            [
                int(i),
                Measure(float(ordering.gain[i]), float(ordering.low[i]), float(ordering.high[i])),
                int(ordering.images[i]),
            ]
        )
        for i in ordering.order
        if i not in ordering.dropped
    ]
    if ordering.by == "gain":
        return Table("Information gain", columns, rows)
    note = "the model has no decoder, so there is no gain of images: variances are of its codes"
    return Table("Variance", columns, rows, note)


def ordering_table(ordering: Ordering) -> Table:
    """How the order came about, and how sure it is."""
    about = "about " if ordering.confidence < 1 else ""
    sure = f"are what all decodes give: {about}{in_percent(ordering.confidence)}"
    d, inactive = len(ordering.order), ordering.inactive
    what, decoded = f"{ordering.what}s", ordering.by == "gain"
    cells: dict[str, Cell] = {
        "inactive": None if inactive is None else f"{len(inactive)} of {d} {what}",
        "dropped": f"{len(ordering.dropped)} of {d} {what}" if decoded else None,
        "images": ordering.n_images,
        "groups": ordering.n_units if ordering.n_units < ordering.n_images else None,
        "decodes": f"{ordering.decodes} of {ordering.exhaustive_decodes} ({ordering.saved:.1f} "
        "times fewer)"
        if decoded
        else None,
        "how sure": f"the first {ordering.leading} and their order {sure}" if decoded else None,
    }
    ties = [f"{a} and {b} could change places on other images" for a, b in ordering.ties]
    return Table.of_one("Order", {**cells, "ties": "; ".join(ties) or None})
