"""The variable of a trace that was deteriorated: its course in phases.

Asperti, "Sparsity in Variational Autoencoders" (2018), figure 3. Shapes: ``e`` epochs, and the
moment before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from latentmap.diagnostics.traces import Trace
from latentmap.report import Column, Plot, Row, Table
from latentmap.report.colours import BLUE, GREY, VERMILION
from latentmap.report.parts import Lines
from latentmap.report.plots import COLUMN, heading, set_height, width_of

BEFORE, GROWING, AFTER, WITHOUT = "before", "noise grows", "noise stays", "without noise"
_SHADES = {GROWING: "#f6e3d4", AFTER: "#f0d0d0", WITHOUT: "#dcebdc"}


@dataclass(frozen=True, eq=False)
class Deteriorated:
    """What became of a variable, after each epoch and before the first.

    ``noise``, ``gain``, ``cost`` (nats an image), ``mean_variance`` = Var mu and
    ``posterior_variance`` = mean s2 are ``(e,)``, as in ``Epochs``; ``phases`` has the phase of
    each.
    """

    variable: int
    noise: np.ndarray
    gain: np.ndarray
    cost: np.ndarray
    mean_variance: np.ndarray
    posterior_variance: np.ndarray
    phases: tuple[str, ...]

    @property
    def crossing(self) -> int | None:
        """The epoch after which the gain was below the cost, so that the noise grew no more."""
        last = int(self.noise.argmax())
        return last if self.gain[last] < self.cost[last] else None

    @property
    def ends(self) -> dict[str, int]:
        """The last epoch of each phase."""
        return {phase: epoch for epoch, phase in enumerate(self.phases)}

    def in_words(self) -> str:
        """A sentence on what happened."""
        crossing = self.crossing
        noisy = int(self.noise.argmax())
        fell = (
            f"its gain never fell below its KL in {noisy} epoch{'s' if noisy != 1 else ''} of noise"
        )
        if crossing is not None:
            fell = (
                f"its gain fell below its KL after epoch {crossing}, at a noise of "
                f"{self.noise[crossing]:.3g}"
            )
        named = {
            phase: phase if phase == BEFORE else f"at the end of {phase!r}" for phase in self.ends
        }
        # Rounded first, and never -0.
        gains = {phase: round(float(self.gain[at]), 1) + 0.0 for phase, at in self.ends.items()}
        course = ", ".join(f"{gain:.1f} {named[phase]}" for phase, gain in gains.items())
        return f"Variable {self.variable}: {fell}; gain in nats: {course}."

    def to_json(self) -> dict[str, Any]:
        """The variable and the end of each phase, ready for ``json.dumps``."""
        return {
            "variable": self.variable,
            "crossing": self.crossing,
            "phases": {
                phase: {
                    "epoch": epoch,
                    "noise": float(self.noise[epoch]),
                    "gain_nats": float(self.gain[epoch]),
                    "cost_nats": float(self.cost[epoch]),
                    "mean_variance": float(self.mean_variance[epoch]),
                    "posterior_variance": float(self.posterior_variance[epoch]),
                }
                for phase, epoch in self.ends.items()
            },
        }

    def table(self) -> Table:
        """The end of each phase."""
        columns = [
            Column("phase"),
            Column("epoch"),
            Column("noise", "standard deviation of what is added to its codes", decimals=3),
            Column("gain", "what it is worth in the loss, in nats an image", decimals=3),
            Column("KL", "what it costs there: beta KL, in nats an image", decimals=3),
            Column("Var mean", "variance of the posterior means", decimals=4),
            Column("mean s2", "mean of the posterior variances", decimals=4),
        ]
        parts = (self.noise, self.gain, self.cost, self.mean_variance, self.posterior_variance)
        rows = [
            Row([phase, epoch, *(float(part[epoch]) for part in parts)])
            for phase, epoch in self.ends.items()
        ]
        return Table(f"Variable {self.variable}, at the end of each phase", columns, rows)

    def lines(self) -> list[Lines]:
        """Gain, KL, noise and variances over the epochs, for a report."""
        phases = ", ".join(
            f"{phase} until epoch {epoch}" for phase, epoch in self.ends.items() if epoch
        )
        return [
            _lines("Gain and KL of the variable (nats an image)", self.gain, self.cost, phases),
            _lines("Noise", self.noise, None, phases),
            _lines(
                "Variance of its means, and its mean posterior variance",
                self.mean_variance,
                self.posterior_variance,
                phases,
            ),
        ]


def _lines(title: str, first: np.ndarray, second: np.ndarray | None, phases: str) -> Lines:
    parts = [first] if second is None else [first, second]
    return Lines(
        title,
        "epochs",
        [float(epoch) for epoch in range(len(first))],
        [[float(f"{value:.4g}") for value in part] for part in parts],
        [] if second is None else [1],
        f"{title} over {len(first) - 1} epochs; {phases}",
        note=f"{phases}." if second is None else f"The second in another colour; {phases}.",
    )


def deteriorated_in(trace: Trace) -> Deteriorated | None:
    """The variable of a trace that was deteriorated, None where none was."""
    epochs, variable = trace.epochs, trace.deteriorated
    if variable is None:
        return None
    assert epochs.noise is not None and epochs.gain_nats is not None, "checked when it was read"
    assert epochs.cost_nats is not None, "checked when it was read"
    grown, noisy = int(epochs.noise.argmax()), np.flatnonzero(epochs.noise)
    last = int(noisy[-1]) if len(noisy) else 0
    phases = [
        BEFORE if epoch == 0 else GROWING if epoch <= grown else AFTER if epoch <= last else WITHOUT
        for epoch in range(len(epochs.noise))
    ]
    return Deteriorated(
        variable,
        epochs.noise,
        epochs.gain_nats,
        epochs.cost_nats,
        epochs.mean_variance[:, variable],
        epochs.posterior_variance[:, variable],
        tuple(phases),
    )


def deteriorated_plot(found: Deteriorated) -> Plot:
    """Gain, KL and noise of the variable over the epochs, and its variances; the phases are
    shaded.
    """

    def draw(figure: Any) -> None:
        set_height(figure, 12.0)
        upper, lower = figure.subplots(2, sharex=True)
        _draw_worth(upper, found)
        _draw_variances(lower, found)
        for axis in (upper, lower):
            axis.grid()
            for phase, (first, last) in _spans(found.phases).items():
                axis.axvspan(first - 0.5, last + 0.5, color=_SHADES[phase], zorder=0, label=phase)
        upper.legend(loc="lower right", handles=upper.get_lines())
        handles, names = lower.get_legend_handles_labels()
        columns = 5 if width_of(figure) > 1.4 * COLUMN else 2
        figure.legend(handles, names, loc="outside lower center", ncols=columns)
        heading(figure, found.in_words().partition("; gain in nats")[0])

    return Plot(draw)


def _draw_worth(axis: Any, found: Deteriorated) -> None:
    epochs = np.arange(len(found.noise))
    axis.plot(epochs, found.gain, color=BLUE, marker=".", label="gain")
    axis.plot(epochs, found.cost, color=VERMILION, marker=".", label="KL")
    axis.set_ylabel("nats an image")
    # A gain of hundreds of nats stands beside a divergence of a few.
    axis.set_yscale("symlog", linthresh=1)
    noise = axis.twinx()
    noise.step(epochs, found.noise, where="mid", color=GREY, linestyle="--")
    noise.set_ylabel("noise (dashed)", color=GREY)
    noise.set_ylim(bottom=0)


def _draw_variances(axis: Any, found: Deteriorated) -> None:
    epochs = np.arange(len(found.noise))
    variances = {
        "variance of the means": (found.mean_variance, BLUE),
        "mean posterior variance": (found.posterior_variance, VERMILION),
    }
    for label, (values, colour) in variances.items():
        axis.plot(epochs, values, color=colour, marker=".", label=label)
    axis.set_yscale("symlog", linthresh=1)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("epochs")


def _spans(phases: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """The first and the last epoch of each phase, without the moment before."""
    spans = {}
    for phase, group in groupby(enumerate(phases), key=lambda one: one[1]):
        epochs = [epoch for epoch, _ in group]
        spans[phase] = (epochs[0], epochs[-1])
    spans.pop(BEFORE, None)
    return spans
