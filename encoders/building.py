"""Models whose network is built from a configuration that may come from a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.model import Model

Network = TypeVar("Network", bound=nn.Module)


class BuiltModel(Model):
    """A model of one network; a subclass gives it in ``_network``.

    ``config`` has ``image_shape`` and ``latent_dim``, and whatever the network needs; ``weights``
    take the place of random ones.

    Raises:
        ModelError: the configuration, or the weights, do not fit.
    """

    space_kind: ClassVar[str] = "z"

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
            space_kind=self.space_kind,
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
    try:
        if weights is None:
            return make()
        # Nothing is allocated before the shapes are known to fit: a file may claim any width.
        with torch.device("meta"):
            network = make()
        network.load_state_dict(dict(weights), assign=True)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"this is no {family} model: its configuration or weights do not fit ({reason})"
        ) from None
    return network
