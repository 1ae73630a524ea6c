"""Models of half the size: every weight rounded to float16, and computed with in float32."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from latentmap.encoders import build
from latentmap.encoders.inverted import InvertedModel, add_inversion, in_space
from latentmap.encoders.sampling import adjust
from latentmap.errors import ModelError
from latentmap.model import Model

Network = TypeVar("Network", bound=nn.Module)


def halved(model: Model) -> Model:
    """The model with its weights rounded to what float16 can hold; ``save_model`` with ``half``
    writes it in half the bytes.

    It is another model, with another fingerprint: its codes differ in the fourth digit or so.

    Raises:
        ModelError: a weight is beyond float16's range.
    """
    if isinstance(model, InvertedModel):
        described = model.config["generator"]
        generator = in_space(halved(model.generator), model.config["space"])
        other: Model = add_inversion(
            adjust(generator, label=described["class"]),
            _rounded_network(model.inversion, model.name),
            model.config["network"],
            box=model.config["view"],
            name=model.name,
        )
    else:
        weights = _rounded_network(model.network, model.name).state_dict()
        other = build(
            model.family, model.config, name=model.name, frame=model.frame, weights=weights
        )
    other.boxes, other.seen, other.prior = dict(model.boxes), model.seen, model.prior
    return other.to(model.device)


def _rounded_network(network: Network, name: str) -> Network:
    """A copy whose weights are numbers of float16, kept as float32."""
    rounded = copy.deepcopy(network)
    rounded.load_state_dict(
        {key: _rounded(value, f"{key} of {name}") for key, value in network.state_dict().items()},
        assign=True,
    )
    return rounded


def _rounded(tensor: Tensor, what: str) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.clone()
    rounded = tensor.half().float()
    if not bool(torch.isfinite(rounded).all()):
        raise ModelError(
            f"{what} reaches {float(tensor.abs().max()):.3g}, beyond the 65504 of float16: keep "
            "the model in float32"
        )
    return rounded
