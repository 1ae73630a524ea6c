"""Building a family's network from a configuration that may come from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from latentmap.errors import ModelError

Network = TypeVar("Network", bound=nn.Module)


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
