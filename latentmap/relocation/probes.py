"""What probes tell through a map: what can be read from mapped codes of what is known of images.

A probe is fitted on the target's own codes and reads mapped ones: what it still tells there, the
map has kept, however large the error of the codes. ``probing.py`` fits and judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from latentmap.relocation.probe_figures import ProbeFigure
from latentmap.report import Column, Measure, Row, Shown, Table
from latentmap.report.words import intervals_in_words

_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "r2": "R2",
}
# Judged units of the rarest class, below which benchmarks/probes.py finds intervals too narrow.
_FEW = 50


@dataclass(frozen=True)
class Probe:
    """What one probe tells: of the ``classes`` of an attribute, or of numbers where there are none.

    It was fitted on ``n_fitted`` images of ``n_fitted_units`` units, and judged on ``n_test`` of
    ``n_units``, of the rarest class that is judged of ``n_rarest_units``, of numbers of all;
    ``n_fitted_unknown`` and ``n_test_unknown`` others were left out, of which the attribute is not
    known. ``penalty`` was chosen by cross-validation. ``figures`` are ``accuracy``,
    ``balanced_accuracy`` and ``auc`` of classes, ``r2`` of numbers; see ``class_figures`` and
    ``number_figures``.
    """

    name: str
    classes: tuple[str, ...]
    n_fitted: int
    n_fitted_units: int
    n_fitted_unknown: int
    n_test: int
    n_units: int
    n_rarest_units: int
    n_test_unknown: int
    penalty: float
    figures: Mapping[str, ProbeFigure]

    def to_json(self) -> dict[str, Any]:
        """All of it, figures by their names as ``ProbeFigure.to_json`` gives them."""
        record = {one.name: getattr(self, one.name) for one in fields(self)}
        record |= {"classes": list(self.classes)}
        figures = record.pop("figures")
        for name, kept in figures.items():
            record |= kept.to_json(name)
        return record


@dataclass(frozen=True, eq=False)
class Probes(Shown):
    """What probes tell through a map; ``failed`` says why others could not be fitted or judged."""

    probes: tuple[Probe, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Probes: {', '.join(one.name for one in self.probes)}>"

    def tables(self) -> list[Table]:
        return [probes_table(self)]

    def to_json(self) -> dict[str, Any]:
        """A record of each probe, and why there are no others."""
        return {
            "attributes": [one.to_json() for one in self.probes],
            "failed": dict(self.failed),
        }


def probes_table(found: Probes) -> Table:
    """One line a figure of each probe."""
    columns = [
        Column("attribute"),
        Column("figure"),
        Column("mapped", "of a probe of the target's own codes, on mapped codes", "high", 3),
        Column("floor", "by chance: the most frequent class, or the mean", decimals=3),
        Column("ceiling", "of the same probe on the target's own codes", decimals=3),
        Column("kept", "(mapped - floor) / (ceiling - floor)", "high", 3),
        Column("fitted", "images that the probe was fitted on"),
        Column("judged", "images that it was judged on"),
        Column("unknown", "images of both that were left out: the attribute is not known"),
    ]
    rows = [
        Row(
            [
                one.name,
                _TITLES[name],
                *map(Measure.of, (kept.mapped, kept.floor, kept.ceiling, kept.kept)),
                one.n_fitted,
                one.n_test,
                one.n_fitted_unknown + one.n_test_unknown,
            ]
        )
        for one in found.probes
        for name, kept in one.figures.items()
    ]
    note = (
        "linear probes, fitted on the target's own codes of other images and judged on mapped "
        f"codes; {intervals_in_words(min(one.n_units for one in found.probes))}"
    )
    few = [one.name for one in found.probes if one.classes and one.n_rarest_units < _FEW]
    if few:
        note += f"; too narrow for {', '.join(few)}, with a class of fewer than {_FEW} judged"
    missing = [f"no probe of {name}: {why}" for name, why in found.failed.items()]
    return Table("Probes through the map", columns, rows, "\n".join([note, *missing]))
