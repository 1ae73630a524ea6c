"""Models whose network is built from a configuration that may come from a file."""

from __future__ import annotations

import threading
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from latentmap.encoders import spaces_of
from latentmap.errors import ModelError
from latentmap.files import reason_of
from latentmap.frames import Frame
from latentmap.model import Model

Network = TypeVar("Network", bound=nn.Module)
# Of a configuration in a file: layers without weights of their own (activations, blocks, lists) a
# tensor; the longest list, where there are few tensors; nesting; and the largest number, which is
# above every width and size, and below what Python's range and torch's shapes cannot take.
_LAYERS_PER_TENSOR = 16
_LEAST = 64
_DEEPEST = 8
_LARGEST = 2**31 - 1


class BuiltModel(Model):
    """A model of one network; a subclass gives it in ``_network``.

    ``config`` has ``image_shape`` and ``latent_dim``, ``latent_shape`` where a code is no plain
    vector, and whatever the network needs; ``weights`` take the place of random ones.

    Raises:
        ModelError: the configuration, or the weights, do not fit.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        name: str | None = None,
        frame: Frame | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        network = build_network(self.family, lambda: self._network(config), weights)
        channels, height, width = config["image_shape"]
        super().__init__(
            network,
            name=name or self.family,
            config=config,
            latent_dim=int(config["latent_dim"]),
            image_shape=(channels, height, width),
            frame=frame,
            space_kind=spaces_of(self.family, config)[0],
            latent_shape=tuple(config.get("latent_shape", ())),
        )

    @abstractmethod
    def _network(self, config: Mapping[str, Any]) -> nn.Module: ...


def build_network(
    family: str, make: Callable[[], Network], weights: Mapping[str, Tensor] | None
) -> Network:
    """The network that ``make`` builds, with ``weights`` in place of random ones when given.

    Raises:
        ModelError: the configuration, or the weights, do not fit.
    """
    if weights is None:
        with _refusing(family):
            return make()
    with _refusing(family):
        # Nothing is allocated before the shapes are known to fit: a file may claim any width.
        with torch.device("meta"), at_most(len(weights)), warnings.catch_warnings():
            # Of what is to be replaced; a width of 0 has no weights to begin with.
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            network = make()
        network.load_state_dict(dict(weights), assign=True)
    return network


@contextmanager
def _refusing(family: str) -> Iterator[None]:
    """Says of whatever a network raises that its configuration or weights do not fit."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # A configuration is what somebody wrote: anything may be wrong.
        raise ModelError(
            f"this is no {family} model: its configuration or weights do not fit "
            f"({reason_of(error)})"
        ) from None


@contextmanager
def at_most(tensors: int) -> Iterator[Mapping[str, int]]:
    """Lets this thread make no more parameters than there are tensors for them, and no more layers
    than those can have: a file may claim any number. Gives how many of both are left.

    Raises:
        ValueError: more are made; one of the numbers is then below 0.
    """
    thread = threading.get_ident()
    left = {"parameters": tensors, "layers": _LAYERS_PER_TENSOR * (tensors + 1)}

    def count(what: str) -> None:
        if threading.get_ident() != thread:
            return
        left[what] -= 1
        if left[what] < 0:
            raise ValueError(f"it describes more {what} than its {tensors} tensors can fill")

    hooks = (
        register_module_parameter_registration_hook(lambda *_: count("parameters")),
        register_module_module_registration_hook(lambda *_: count("layers")),
    )
    try:
        yield left
    finally:
        for hook in hooks:
            hook.remove()


def check_config(config: Mapping[str, Any], tensors: int) -> None:
    """Refuses a configuration from a file with more, or larger, numbers than its tensors can need.

    Raises:
        ValueError: a list is longer than there are tensors, a number is larger than any size can
            be, or it is nested more deeply than configurations are.
    """
    longest = max(tensors, _LEAST)

    def check(value: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("its configuration is nested too deeply")
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, list | tuple):
            if len(value) > longest:
                raise ValueError(f"a list of {len(value)} settings, but {tensors} tensors")
            for part in value:
                check(part, depth + 1)
        elif isinstance(value, int | float) and not abs(value) <= _LARGEST:
            raise ValueError(f"a setting above {_LARGEST}")

    check(config, 0)
