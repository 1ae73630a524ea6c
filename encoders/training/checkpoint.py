"""Training checkpoints: everything that a run needs to go on, in one safetensors file that is
replaced whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from latentmap.errors import ModelError
from latentmap.files import write_atomic


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
    # In memory first: safetensors reports a full disk as an error of its own kind.
    whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    metadata = {"latentmap": json.dumps({"kind": "checkpoint", **record}, sort_keys=True)}
    write_atomic(path, save(whole, metadata))


def read_record(path: Path) -> dict[str, Any]:
    """What a checkpoint says about its run.

    Raises:
        ModelError: no checkpoint there, or not a readable one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            record: dict[str, Any] = json.loads((file.metadata() or {})["latentmap"])
    except FileNotFoundError:
        raise ModelError(
            f"there is no checkpoint {path} to resume from: start without --resume"
        ) from None
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise ModelError(
            f"{path} is no readable checkpoint ({error}): start again with --force"
        ) from None
    if record.get("kind") != "checkpoint":
        raise ModelError(
            f"{path} holds a {record.get('kind')}, not a checkpoint: start again with --force"
        )
    return record


def load_checkpoint(path: Path, recipe: Stateful) -> None:
    """Puts the saved state into a recipe that was built with the same settings."""
    with safe_open(path, framework="pt") as file:
        tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}

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
