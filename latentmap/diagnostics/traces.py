"""Traces: what the latent variables of a VAE did while it was trained.

Shapes: ``k`` steps, ``e`` epochs, ``d`` latent variables, ``p`` moments, ``m`` followed images. All
variables are those of the network as it was trained, before its codes were normalised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentmap.diagnostics.activity import are_active
from latentmap.errors import ModelError
from latentmap.files import TensorFile, reading
from latentmap.report import Cell, Column, Row, Shown, Table

_FILE = TensorFile(
    kind="trace",
    format=1,
    error=ModelError,
    sealed=True,
    advice="give a file of `latentmap train vae --trace FILE`",
)


_MOST_PIXELS = 2**40  # Of an image: what a record may say.


@dataclass(frozen=True, eq=False)
class Steps:
    """What a step of the training saw in its batch: ``number`` (k,) counts the steps that were
    done, ``loss``, ``mse`` (per pixel) and ``gamma`` (k,); ``mean_variance`` = Var mu,
    ``posterior_variance`` = mean s2 and ``kl`` (k, d). With gates, ``gates`` (k, d) are the
    probabilities that they are open, and ``multiplier`` (k,) is what weighs the error.
    """

    number: np.ndarray
    loss: np.ndarray
    mse: np.ndarray
    gamma: np.ndarray
    mean_variance: np.ndarray
    posterior_variance: np.ndarray
    kl: np.ndarray
    gates: np.ndarray | None = None
    multiplier: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Epochs:
    """What one sample of the images shows after each epoch, and before the first.

    ``number`` (e,) counts the steps that were done; ``mean_variance``, ``posterior_variance`` and
    ``kl`` (e, d) are as those of ``Steps``. ``gain`` (e, d) is the information gain of each
    variable, a mean over images, see ``latentmap.diagnostics.gain``.
    Where a variable is deteriorated, ``noise`` (e,) is the standard deviation of what was added to
    it in the epoch; ``gain_nats`` (e,) is what it is worth so, in the unit of the loss: the sum of
    squared errors with the variable at its mean, less that with codes as they are in the training,
    over 2 gamma^2; and ``cost_nats`` (e,) what it costs there: beta times its KL.
    """

    number: np.ndarray
    mean_variance: np.ndarray
    posterior_variance: np.ndarray
    kl: np.ndarray
    gain: np.ndarray
    noise: np.ndarray | None = None
    gain_nats: np.ndarray | None = None
    cost_nats: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Paths:
    """Where the codes of the followed images were when ``number`` (p,) steps were done: ``mean``
    and ``variance`` (p, m, d) of their posteriors.
    """

    number: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True, eq=False)
class Trace(Shown):
    """A training of a VAE.

    ``ids`` (m,) and ``labels`` (m,), where they are known, are those of the followed images;
    ``record`` says what was trained (``model``, ``model_fingerprint``, ``settings``, ``data``) and
    on how many images variables and gains were measured.
    """

    steps: Steps
    epochs: Epochs
    paths: Paths
    ids: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.latent_dim} variables: {len(self.steps.number)} of "
            f"{self.epochs.number[-1]} steps, {len(self.epochs.number) - 1} epochs>"
        )

    def _parts(self) -> tuple[tuple[str, Steps | Epochs | Paths], ...]:
        return ("steps", self.steps), ("epochs", self.epochs), ("paths", self.paths)

    @property
    def latent_dim(self) -> int:
        """Latent variables."""
        return int(self.epochs.gain.shape[1])

    @property
    def deteriorated(self) -> int | None:
        """The variable that noise was added to, None where none was.

        Raises:
            ValueError: the record does not say which.
        """
        if self.epochs.noise is None:
            return None
        settings = self.record.get("settings")
        variable = settings.get("variable") if isinstance(settings, Mapping) else None
        if type(variable) is not int or not 0 <= variable < self.latent_dim:
            raise ValueError("it does not say which variable was deteriorated")
        return variable

    @property
    def held(self) -> tuple[float, int] | None:
        """At what tau the gates of the training held the error of an image, and over how many
        pixels (times channels) it is summed; None where there were no gates.

        Raises:
            ValueError: the record does not say it.
        """
        if self.steps.gates is None:
            return None
        try:
            settings = self.record["settings"]
            pixels = math.prod(map(int, settings["config"]["image_shape"]))
            tau = settings["tau"]
            tau = float(settings["tau_mse"]) * pixels if tau is None else float(tau)
        except (KeyError, TypeError, ValueError, OverflowError):
            tau, pixels = math.nan, 0
        if not 0 < tau < math.inf or not 0 < pixels < _MOST_PIXELS:
            raise ValueError("it does not say at what error its gates were held")
        return tau, pixels

    @property
    def leading(self) -> np.ndarray:
        """The variables ``(d,)`` by their gain at the end, the largest first."""
        return np.argsort(-self.epochs.gain[-1], kind="stable")

    def save(self, path: str | Path) -> None:
        """Writes the trace, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        arrays = {
            f"{part}.{name}": torch.from_numpy(np.ascontiguousarray(found))
            for part, rows in self._parts()
            for name, found in _present(rows)
        }
        labels = None if self.labels is None else list(self.labels)
        header = {"ids": list(self.ids), "labels": labels, "record": dict(self.record)}
        _FILE.write(path, arrays, header)

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """The trace that ``save`` wrote.

        Raises:
            ModelError: the file is missing, damaged or no trace.
        """
        header, tensors = _FILE.read(path)
        with reading(path, ModelError, _FILE.advice):
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            labels = header["labels"]
            trace = cls(
                Steps(**_arrays("steps", Steps, arrays)),
                Epochs(**_arrays("epochs", Epochs, arrays)),
                Paths(**_arrays("paths", Paths, arrays)),
                tuple(map(str, header["ids"])),
                None if labels is None else tuple(map(str, labels)),
                dict(header["record"]),
            )
            _check(trace)
        return trace

    def tables(self) -> list[Table]:
        """The variables at the end, by their gain, and the course of the training."""
        epochs = self.epochs
        columns = [
            Column("variable"),
            Column("gain", "what an image loses without it, in mse", decimals=5),
            Column("KL", "divergence from the prior", decimals=3),
            Column("Var mean", "variance of the posterior means", decimals=4),
            Column("mean s2", "mean of the posterior variances", decimals=4),
        ]
        parts = (epochs.gain, epochs.kl, epochs.mean_variance, epochs.posterior_variance)
        rows = [Row([int(i), *(float(part[-1, i]) for part in parts)]) for i in self.leading]
        steps = self.steps
        cells: dict[str | Column, Cell] = {
            "steps": int(epochs.number[-1]),
            "epochs": len(epochs.number) - 1,
            "steps in the trace": len(steps.number),
            "active variables": int(are_active(epochs.mean_variance[-1]).sum()),
            "followed images": len(self.ids),
            "of labels": None if self.labels is None else len({*self.labels}),
            Column("mse", "of the last batch", decimals=5): float(steps.mse[-1]),
            Column("gamma", decimals=4): float(steps.gamma[-1]),
        }
        return [
            Table("Variables at the end", columns, rows),
            Table.of_one("The training", cells),
        ]

    def to_json(self) -> dict[str, Any]:
        """All figures, ready for ``json.dumps``."""
        return {
            **{
                part: {name: found.tolist() for name, found in _present(rows)}
                for part, rows in self._parts()
            },
            "ids": list(self.ids),
            "labels": None if self.labels is None else list(self.labels),
            "record": dict(self.record),
        }


def _present(rows: Steps | Epochs | Paths) -> list[tuple[str, np.ndarray]]:
    """The arrays of a part by name, without those that its training does not have."""
    found = [(one.name, getattr(rows, one.name)) for one in fields(rows)]
    return [(name, array) for name, array in found if array is not None]


def _arrays(part: str, kind: type[Any], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    keys = {one.name: f"{part}.{one.name}" for one in fields(kind)}
    optional = {one.name for one in fields(kind) if one.default is None}
    return {
        name: arrays[key] for name, key in keys.items() if key in arrays or name not in optional
    }


def _check(trace: Trace) -> None:
    """Refuses arrays that do not fit each other."""
    k, e, p = (len(rows.number) for rows in (trace.steps, trace.epochs, trace.paths))
    m, d = len(trace.ids), trace.epochs.gain.shape[-1]
    wide = {"steps": (k, d), "epochs": (e, d), "paths": (p, m, d)}
    of_all = ("number", "loss", "mse", "gamma", "multiplier", "noise", "gain_nats", "cost_nats")
    for part, rows in trace._parts():
        for name, found in _present(rows):
            shape = wide[part][:1] if name in of_all else wide[part]
            kind = "i" if name == "number" else "f"
            if found.shape != shape or found.dtype.kind != kind or not np.isfinite(found).all():
                raise ValueError(f"{name} has shape {found.shape}, not {shape}, or no numbers")
    if (trace.paths.variance < 0).any():
        raise ValueError("a variance is negative")
    if not (k and e and p and d):
        raise ValueError("nothing was recorded")
    if trace.held is not None and trace.steps.multiplier is None:
        raise ValueError("it has gates, but what weighed the error is missing")
    epochs = trace.epochs
    if trace.deteriorated is not None and (epochs.gain_nats is None or epochs.cost_nats is None):
        raise ValueError("noise was added to a variable, but its gain and cost are missing")
    if trace.labels is not None and len(trace.labels) != m:
        raise ValueError(f"it has {len(trace.labels)} labels for {m} images")
