"""Recorded trainings beside the spaces: what each is called, and the curves that the page draws.

Shapes: ``d`` latent variables, curves of ``p`` points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from latentmap.diagnostics import are_active
from latentmap.diagnostics.staircase import staircase_in
from latentmap.diagnostics.trace_figures import Motion, motion_of
from latentmap.diagnostics.traces import Trace
from latentmap.errors import ExplorerError

_POINTS = 300  # Of a curve: more are not seen.
_LINES = 128  # Variables that are drawn, those of most gain first.
# What is drawn: its name, its title, and where in a trace it is.
_DRAWN = (
    ("gain", "information gain (mse)", "epochs", "gain"),
    ("kl", "KL divergence", "epochs", "kl"),
    ("means", "variance of the means", "steps", "mean_variance"),
    ("posteriors", "mean posterior variance", "steps", "posterior_variance"),
    ("loss", "loss of a batch", "steps", "loss"),
    ("mse", "mse of a batch", "steps", "mse"),
    ("gamma", "gamma", "steps", "gamma"),
    ("gates", "probability that a gate is open", "steps", "gates"),
    ("multiplier", "multiplier of the error", "steps", "multiplier"),
    ("noise", "noise on the deteriorated variable", "epochs", "noise"),
    ("worth", "gain of the deteriorated variable (nats)", "epochs", "gain_nats"),
    ("cost", "KL of the deteriorated variable (nats)", "epochs", "cost_nats"),
)


@dataclass(frozen=True, eq=False)
class Curves:
    """Lines over the steps ``at`` ``(p,)`` of a training: ``values`` ``(lines, p)``, of the
    ``variables`` where they are of variables; ``inactive`` are the lines that end so.
    """

    title: str
    at: np.ndarray
    values: np.ndarray
    variables: tuple[int, ...] = ()
    inactive: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Training:
    """A trace, and the ``name`` of its file."""

    name: str
    trace: Trace

    @property
    def drawn(self) -> dict[str, str]:
        """What can be drawn of it: titles by names."""
        return {name: title for name, (title, _, _) in self._recorded.items()}

    def curves(self, name: str) -> Curves:
        """What is drawn by this name, at 300 moments of 128 variables at most.

        Raises:
            ExplorerError: there is no such thing.
        """
        if name not in self._recorded:
            raise ExplorerError(
                f"what is drawn is one of {', '.join(self._recorded)}, and not {name[:40]!r}"
            )
        title, number, values = self._recorded[name]
        points = np.unique(np.linspace(0, len(number) - 1, _POINTS).round().astype(int))
        if values.ndim == 1:
            return Curves(title, number[points], values[points][None])
        shown = self.trace.leading[:_LINES]
        active = are_active(self.trace.epochs.mean_variance[-1])[shown]
        inactive = np.flatnonzero(~active)
        return Curves(
            title,
            number[points],
            values[points][:, shown].T,
            tuple(shown.tolist()),
            tuple(inactive.tolist()),
        )

    @cached_property
    def motion(self) -> Motion | None:
        """The codes of the followed images in the plane of most gain, None where there is none."""
        trace = self.trace
        return motion_of(trace) if trace.latent_dim > 1 and trace.ids else None

    @cached_property
    def _recorded(self) -> dict[str, tuple[str, np.ndarray, np.ndarray]]:
        """The title, the steps and the values of all that can be drawn."""
        parts: dict[str, Any] = {"epochs": self.trace.epochs, "steps": self.trace.steps}
        found = {
            name: (title, parts[part].number, getattr(parts[part], of))
            for name, title, part, of in _DRAWN
        }
        gates = staircase_in(self.trace)
        if gates is not None:
            found["open"] = ("open gates", gates.steps, gates.open)
            found["error"] = ("error of an image", gates.steps, gates.error)
        return {name: one for name, one in found.items() if one[2] is not None}

    def to_json(self) -> dict[str, Any]:
        """What the page has to know when it opens."""
        return {
            "name": self.name,
            "variables": self.trace.latent_dim,
            "epochs": self.trace.epochs.number.tolist(),
            "drawn": self.drawn,
        }


@dataclass(frozen=True, eq=False)
class OnlyTrainings:
    """Trainings without spaces beside them; ``command`` is the line that shows the same, where
    there is one.
    """

    trainings: tuple[Training, ...]
    command: str = ""


def read_trainings(paths: Sequence[str | Path]) -> tuple[Training, ...]:
    """The trainings that were recorded in some files.

    Raises:
        ModelError: a file is missing, damaged or no trace.
    """
    return tuple(Training(Path(path).name, Trace.load(path)) for path in paths)
