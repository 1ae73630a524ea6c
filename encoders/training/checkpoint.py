"""Checkpoints: everything that a training needs to go on, in one file that is replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from latentmap.errors import ModelError
from latentmap.files import TensorFile, reading

_FILE = TensorFile(
    kind="checkpoint",
    format=2,
    error=ModelError,
    sealed=True,
    advice="start without --resume, and with --force where there is an earlier run",
)


class Stateful(Protocol):
    """What a recipe must show so that its run can be saved and resumed."""

    @property
    def network(self) -> nn.Module: ...

    optimizers: dict[str, Optimizer]
    state: dict[str, Tensor]


def save_checkpoint(path: Path, recipe: Stateful, record: Mapping[str, Any]) -> None:
    """Writes the state of a run; ``record`` (JSON) says what the run is and how far it is."""
    tensors = {f"network.{key}": tensor for key, tensor in recipe.network.state_dict().items()}
    tensors |= {f"state.{key}": tensor for key, tensor in recipe.state.items()}
    for name, optimizer in recipe.optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}.{index}.{key}": value for key, value in moments.items()}
    _FILE.write(path, tensors, record)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds: how far the run with some ``settings`` was, of the steps that were
    asked for, the lines of its log, and the ``tensors`` of its state: none once it is finished.
    """

    path: Path
    step: int
    asked: int
    settings: dict[str, Any]
    log: list[dict[str, Any]]
    tensors: dict[str, Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """What a checkpoint holds, byte for byte as it was written.

    Raises:
        ModelError: no checkpoint there, or not a readable one.
    """
    record, tensors = _FILE.read(path)
    with reading(path, ModelError, _FILE.advice):
        step, settings, log = int(record["step"]), dict(record["settings"]), list(record["log"])
        return Checkpoint(path, step, int(record.get("asked", step)), settings, log, tensors)


def strip_checkpoint(path: Path) -> None:
    """Takes the state out of a checkpoint, which is most of its bytes; what the run was stays.

    Raises:
        ModelError: no checkpoint there, or not a readable one.
        OutputError: it cannot be written.
    """
    record, _ = _FILE.read(path)
    _FILE.write(path, {}, record)


def restore(checkpoint: Checkpoint, recipe: Stateful) -> None:
    """Puts the saved state into a recipe that was built with the same settings.

    Raises:
        ModelError: it does not fit.
    """
    with reading(checkpoint.path, ModelError, _FILE.advice):
        _restore(checkpoint.tensors, recipe)


def _restore(tensors: Mapping[str, Tensor], recipe: Stateful) -> None:
    def part(prefix: str) -> dict[str, Tensor]:
        return {
            key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)
        }

    recipe.network.load_state_dict(part("network."))
    for key, value in part("state.").items():
        recipe.state[key] = value.to(next(recipe.network.parameters()).device)
    for name, optimizer in recipe.optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in part(f"optimizer.{name}.").items():
            index, _, moment = key.partition(".")
            state.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
