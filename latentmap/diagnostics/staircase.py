"""The staircase of a training with gates: how many are open over the steps, beside the error that
they are held by.

Shapes: ``k`` steps of the trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.diagnostics.traces import Trace
from latentmap.report import Column, Plot, Row, Table
from latentmap.report.colours import BLUE, VERMILION
from latentmap.report.plots import heading, set_height


@dataclass(frozen=True, eq=False)
class Staircase:
    """What the gates of a training did: when ``steps`` (k,) were done, so many were ``open`` (k,),
    the ``error`` (k,) of the batch, summed over the pixels of an image, was held at ``tau``, and
    weighed by the ``multiplier`` (k,).
    """

    steps: np.ndarray
    open: np.ndarray
    error: np.ndarray
    multiplier: np.ndarray
    tau: float

    def table(self) -> Table:
        """A row for each number of open gates, in the order in which they came."""
        _, first = np.unique(self.open, return_index=True)
        columns = [
            Column("open gates"),
            Column("from step"),
            Column("share", "of the steps of the trace", decimals=2),
            Column("error", "squared errors summed over an image", decimals=2),
            Column("multiplier", "of the error, in the mean", decimals=3),
        ]
        rows = []
        for at in np.sort(first):
            there = self.open == self.open[at]
            means = [float(part[there].mean()) for part in (self.error, self.multiplier)]
            share = float(there.mean())
            rows.append(Row([int(self.open[at]), int(self.steps[at]), share, *means]))
        note = f"Error of the batches, with codes and gates drawn; tau {self.tau:.4g} an image."
        return Table("Gates", columns, rows, note)


def staircase_in(trace: Trace) -> Staircase | None:
    """The staircase of a trace, None where its training had no gates."""
    steps, held = trace.steps, trace.held
    if held is None:
        return None
    assert steps.gates is not None and steps.multiplier is not None, "checked when it was read"
    tau, pixels = held
    return Staircase(
        steps.number, (steps.gates >= 0.5).sum(1), steps.mse * pixels, steps.multiplier, tau
    )


def staircase_plot(staircase: Staircase) -> Plot:
    """The open gates, the error with tau, and the multiplier over the steps."""

    def draw(figure: Any) -> None:
        set_height(figure, 13.0)
        upper, middle, lower = figure.subplots(3, sharex=True)
        upper.step(staircase.steps, staircase.open, where="post", color=BLUE)
        upper.set_ylim(0, staircase.open.max() + 0.5)
        upper.set_ylabel("open gates")
        middle.plot(staircase.steps, staircase.error, color=BLUE, linewidth=0.8)
        middle.axhline(staircase.tau, color=VERMILION, linestyle="--")
        # The error begins far above, where nothing is to be seen.
        middle.set_ylim(0, 3 * staircase.tau)
        middle.set_ylabel("error of an image")
        lower.plot(staircase.steps, staircase.multiplier, color=BLUE, linewidth=0.8)
        lower.set_yscale("log")
        lower.set_ylabel("multiplier")
        lower.set_xlabel("steps")
        for axis in (upper, middle, lower):
            axis.grid()
        heading(figure, f"{staircase.open[-1]} gates end open; tau {staircase.tau:.4g} (dashed)")

    return Plot(draw)
