"""Diagnoses of several models on the same images, each in its own view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latentmap.diagnostics.activity import DEFINITIONS
from latentmap.diagnostics.variables import Diagnosis
from latentmap.report import Column, Measure, Row, Shown, Table
from latentmap.report.words import intervals_in_words


@dataclass(frozen=True, eq=False)
class Diagnoses(Shown):
    """Some diagnoses, and of which kind each model is, in a word: its ``architectures``."""

    results: Sequence[Diagnosis]
    architectures: Sequence[str]

    def __repr__(self) -> str:
        return f"<Diagnoses of {', '.join(one.model for one in self.results)}>"

    def tables(self) -> list[Table]:
        """One row for each model."""
        codes = "drawn codes" if self.results[0].sampled else "the means"
        columns = [
            Column("model"),
            Column("kind", "of its networks"),
            Column("images"),
            Column("active", DEFINITIONS[0].name),
            Column("undecided", "the threshold lies in the interval of so many"),
            Column("mse", f"of the reconstruction from {codes}", "low", 5),
            Column("variance loss", "Var(x) - Var(x_hat)", "low", 5),
            Column("loss / mse", "1 of a conditional mean", decimals=3),
            Column("KL", "divergence from the prior", decimals=2),
            Column("law", "mean of |mean s2 + Var - 1|", decimals=4),
            Column("inactive at mean", "relative change of the mse", decimals=5),
        ]
        rows = [self._row(*pair) for pair in zip(self.results, self.architectures, strict=True)]
        fewest = min(one.n_units for one in self.results)
        note = (
            f"Active is {DEFINITIONS[0].name}; law is the mean of |mean s2 + Var - 1|; inactive at "
            "mean is the relative change of the mse when all inactive variables are set to their "
            f"mean.\n{intervals_in_words(fewest).capitalize()}."
        )
        return [Table("Models", columns, rows, note)]

    def _row(self, found: Diagnosis, architecture: str) -> Row:
        d = len(found.variables)
        return Row(
            [
                found.model,
                architecture,
                found.n,
                f"{found.active} of {d}",
                found.undecided_by(DEFINITIONS[0]),
                Measure.of(found.mse),
                Measure.of(found.variance_loss),
                Measure.of(found.loss_ratio),
                found.kl.value,
                float(found.law_deviation.mean()),
                Measure.of(found.worth.change) if found.active < d else None,
            ]
        )

    def to_json(self) -> list[dict[str, Any]]:
        """All figures of each model, ready for ``json.dumps``."""
        pairs = zip(self.results, self.architectures, strict=True)
        return [{"architecture": kind, **found.to_json()} for found, kind in pairs]
