"""Files of the VAE of PyTorch's examples: one hidden layer on either side, ReLU and sigmoid."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from latentmap.encoders.checkpoints.chain_layers import picture
from latentmap.encoders.checkpoints.conversion import Converted, Network, Recognised
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.halves import read_weights
from latentmap.encoders.checkpoints.modules import candidates, class_name, network_tensors
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.nets.dense_vae import DenseVAE
from latentmap.errors import CheckpointError

FORMAT = "the VAE of PyTorch's examples"

_NATIVE = {
    "fc1": "encoder.0",
    "fc21": "mean",
    "fc22": "log_variance",
    "fc3": "decoder.0",
    "fc4": "output",
}
_NAMES = {f"{layer}.{part}" for layer in _NATIVE for part in ("weight", "bias")}


def recognise_example_vae(file: ForeignFile) -> Recognised | None:
    """The VAE of PyTorch's examples; None for another file."""
    for name, value in candidates(file.value, file.walk).items():
        tensors = network_tensors(value, file.walk)
        if tensors.keys() == _NAMES:
            network = Network(name, FORMAT, tensors, class_name(value))
            convert = partial(_convert, tensors)
            return Recognised(FORMAT, (network,), convert, convert_knowing=convert)
    return None


def _convert(tensors: Mapping[str, TensorView], unsaid: Unsaid | None = None) -> Converted:
    unsaid = unsaid or Unsaid()
    unsaid.refuse_beside(("size",), FORMAT)
    shapes = [tensors[f"{layer}.weight"].shape for layer in ("fc1", "fc21")]
    if any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise CheckpointError(f"its first layers have the shapes {shapes}: the file is damaged")
    (width, pixels), (latent_dim, _) = shapes
    config = {
        "architecture": "dense",
        "image_shape": [*picture(pixels, unsaid.size)],
        "latent_dim": latent_dim,
        "widths": [width],
    }
    native = {}
    for name, view in tensors.items():
        layer, _, part = name.partition(".")
        native[f"{_NATIVE[layer]}.{part}"] = view
    return Converted("vae", config, read_weights(_network, config, native))


def _network(config: Mapping[str, Any]) -> nn.Module:
    return DenseVAE(tuple(config["image_shape"]), config["latent_dim"], config["widths"])
