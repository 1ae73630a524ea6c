"""A package that brings a family of models and a scheme to latentmap: all of it.

After `pip install .` in this folder every command takes `example:5`, five numbers an image, and
files of the family, which `latentmap_example.make` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentmap import Frame, Model
from latentmap.encoders.native import save_model
from latentmap.encoders.references import Given
from latentmap.errors import ModelError

SHAPE = (1, 8, 8)


class LinearFamily(Model):
    """Codes that are linear in the pixels, and pixels that are linear in the codes.

    A file of the family says its name; the class is called with what else the file says.
    """

    family = "example-linear"

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        name: str | None = None,
        frame: Frame | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        channels, height, width = config["image_shape"]
        pixels, size = channels * height * width, int(config["latent_dim"])
        network = nn.ModuleDict({"into": nn.Linear(pixels, size), "out": nn.Linear(size, pixels)})
        if weights is not None:
            try:
                network.load_state_dict(dict(weights))
            except RuntimeError as error:
                raise ModelError(f"the weights do not fit the configuration: {error}") from error
        super().__init__(
            network,
            name=name or self.family,
            config=config,
            latent_dim=size,
            image_shape=(channels, height, width),
            frame=frame,
        )

    def _encode(self, images: Tensor) -> Tensor:
        codes: Tensor = self.network.get_submodule("into")(images.flatten(1))
        return codes

    def _decode(self, codes: Tensor) -> Tensor:
        pixels: Tensor = self.network.get_submodule("out")(codes)
        return pixels.sigmoid().unflatten(1, self.image_shape)


def load(given: Given) -> Model:
    """The model that `example:5?seed=1` names: `given.name` is `5`, `given.options` the rest."""
    options = given.take_options("seed")
    if not given.name.isdecimal():
        raise ModelError(f"{given.text}: write the number of variables, as in example:5")
    with torch.random.fork_rng():
        torch.manual_seed(int(options.get("seed", "0")))
        config = {"image_shape": list(SHAPE), "latent_dim": int(given.name)}
        return LinearFamily(config, name=given.text)


def make(path: str | Path, latent_dim: int = 5) -> None:
    """Writes a model file of the family, which every command then reads."""
    config = {"image_shape": list(SHAPE), "latent_dim": latent_dim}
    save_model(LinearFamily(config), path, training={"made by": "latentmap_example"})
