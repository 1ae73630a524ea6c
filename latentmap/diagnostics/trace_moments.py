"""A training at one of its epochs: what its variables, and the last batch before, showed then.

Shapes: ``d`` latent variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.diagnostics.activity import are_active
from latentmap.diagnostics.deteriorated import deteriorated_in
from latentmap.diagnostics.staircase import staircase_in
from latentmap.diagnostics.traces import Trace
from latentmap.errors import ModelError


@dataclass(frozen=True, eq=False)
class Moment:
    """A training when ``step`` steps were done, at the end of ``epoch``; 0 is before the first.

    ``gain``, ``kl``, ``mean_variance`` and ``posterior_variance`` ``(d,)`` are as in ``Epochs``.
    ``batch`` has what was recorded of the last batch until then (its ``step``, which may be many
    before, ``loss``, ``mse``, ``gamma``; with gates the ``open gates``, ``error`` and
    ``multiplier``), of which ``gates`` ``(d,)`` are the probabilities; before the first epoch it is
    empty. ``worth`` is what became of a deteriorated
    variable: its ``noise``, its ``gain`` and its ``KL`` in nats an image, and the ``phase``.
    """

    epoch: int
    step: int
    gain: np.ndarray
    kl: np.ndarray
    mean_variance: np.ndarray
    posterior_variance: np.ndarray
    gates: np.ndarray | None
    batch: dict[str, float]
    worth: dict[str, float | str]

    @property
    def active(self) -> np.ndarray:
        """Which variables are active ``(d,)``."""
        return are_active(self.mean_variance)

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``."""
        arrays = {
            name: found.tolist()
            for name, found in vars(self).items()
            if isinstance(found, np.ndarray)
        }
        named = {name: getattr(self, name) for name in ("epoch", "step", "batch", "worth")}
        return {**named, **arrays, "active": self.active.tolist()}


def moment_of(trace: Trace, epoch: int) -> Moment:
    """A training at the end of an epoch.

    Raises:
        ModelError: it has no such epoch.
    """
    epochs, steps = trace.epochs, trace.steps
    last = len(epochs.number) - 1
    if not 0 <= epoch <= last:
        raise ModelError(f"the training has epochs 0 to {last}, not {epoch}: choose one of them")
    step = int(epochs.number[epoch])
    before = np.flatnonzero(steps.number <= step)
    at = int(before[-1]) if len(before) and epoch else None
    return Moment(
        epoch,
        step,
        epochs.gain[epoch],
        epochs.kl[epoch],
        epochs.mean_variance[epoch],
        epochs.posterior_variance[epoch],
        None if steps.gates is None or at is None else steps.gates[at],
        {} if at is None else _batch(trace, at),
        _worth(trace, epoch),
    )


def _batch(trace: Trace, at: int) -> dict[str, float]:
    steps, gates = trace.steps, staircase_in(trace)
    found: dict[str, float] = {"step": int(steps.number[at])}
    found |= {name: float(getattr(steps, name)[at]) for name in ("loss", "mse", "gamma")}
    if gates is not None:
        found["open gates"] = int(gates.open[at])
        found["error"] = float(gates.error[at])
        found["multiplier"] = float(gates.multiplier[at])
    return found


def _worth(trace: Trace, epoch: int) -> dict[str, float | str]:
    noisy = deteriorated_in(trace)
    if noisy is None:
        return {}
    return {
        "variable": noisy.variable,
        "phase": noisy.phases[epoch],
        "noise": float(noisy.noise[epoch]),
        "gain": float(noisy.gain[epoch]),
        "KL": float(noisy.cost[epoch]),
    }
