"""Vision encoders of timm: ``timm:NAME[:FILE.safetensors]?features=pooled``.

Without a file the weights of that name are downloaded from the hub. ``pooled`` are the features
before the classifier, ``cls`` and ``patches`` as in ``transformers_models.py``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders import LATENT
from latentmap.encoders.adapters.extras import require
from latentmap.encoders.adapters.features import Features, at_places, read_features
from latentmap.encoders.adapters.hub import find_folder
from latentmap.encoders.adapters.scaling import Scaling, read_numbers
from latentmap.encoders.references import Given
from latentmap.errors import ModelError
from latentmap.files import reading, reason_of
from latentmap.frames import Frame
from latentmap.model import Model

_FILE = "model.safetensors"


def load(given: Given) -> Model:
    """The encoder of a name that timm knows.

    Raises:
        ModelError: there is none, its weights are no safetensors or do not fit, it has no such
            features, or timm is missing.
    """
    options = given.take_options("features")
    features = read_features(options.get("features", "pooled"))
    library = require("timm", "timm")
    architecture, _, file = given.name.partition(":")
    try:
        network = library.create_model(architecture, pretrained=False, num_classes=0)
        seen = library.data.resolve_data_config({}, model=network)
    except Exception as error:
        raise ModelError(
            f"timm {library.__version__} cannot make {architecture!r} ({reason_of(error)}): give "
            "one of timm.list_models()"
        ) from error
    _read_weights(network, given.folder / file if file else _downloaded(network, architecture))
    name = f"timm:{architecture}" + (f"?features={features}" if "features" in options else "")
    return TimmModel(network, architecture, features, seen, given.size, name=name)


def _downloaded(network: Any, architecture: str) -> Path:
    known = network.pretrained_cfg.get("hf_hub_id")
    if not known:
        raise ModelError(f"the hub has no weights of {architecture}: give a file of them after it")
    return find_folder(known, [_FILE], Path(), extra="timm") / _FILE


def _read_weights(network: Any, path: Path) -> None:
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        raise ModelError(f"{path} is no safetensors file, the only kind that is read here")
    with reading(path, ModelError, "get it again"):
        weights = load_file(path)
        # What it has beyond the features is its classifier.
        missing, _ = network.load_state_dict(weights, strict=False)
    if missing:
        raise ModelError(
            f"{path} lacks {len(missing)} of the weights, such as {missing[0]}: are they those of "
            "this architecture?"
        )


class TimmModel(Model):
    """Features of an encoder without a decoder."""

    family = "timm"
    can_decode = False

    def __init__(
        self,
        network: Any,
        architecture: str,
        features: Features,
        seen: dict[str, Any],
        size: tuple[int, int] | None,
        *,
        name: str,
    ) -> None:
        channels, *own = seen["input_size"]
        self._seen, self._architecture, self._features = seen, architecture, features
        self._pixels = Scaling(
            read_numbers(seen["mean"], "mean"), read_numbers(seen["std"], "std", positive=True)
        )
        # Others have a number of places, which is theirs.
        self.any_size = not seen.get("fixed_input_size", hasattr(network, "pos_embed"))
        height, width = size if size is not None and self.any_size else own
        try:
            device = next(network.parameters()).device
            images = torch.zeros(1, channels, height, width, device=device)
            with torch.no_grad():
                shape = tuple(self._features_of(network.eval(), images).shape[1:])
        except ModelError as error:
            raise ModelError(f"{name} {error}") from error
        except Exception as error:
            raise ModelError(
                f"{name} cannot encode images of {height}x{width} ({reason_of(error)}): give "
                "another size"
            ) from error
        super().__init__(
            network,
            name=name,
            config={
                "architecture": architecture,
                "features": features,
                "pixels": self._pixels.to_json(),
                "image_shape": [channels, height, width],
                "latent_shape": list(shape),
                "latent_dim": math.prod(shape),
            },
            latent_dim=math.prod(shape),
            latent_shape=shape,
            space_kind=LATENT,
            image_shape=(channels, height, width),
            frame=Frame("center"),
        )

    def resized(self, height: int, width: int) -> Model:
        if not self.any_size or (height, width) == self.image_shape[1:]:
            return super().resized(height, width)
        model = TimmModel(
            self.network,
            self._architecture,
            self._features,
            self._seen,
            (height, width),
            name=self.name,
        )
        return model.seen_through(self.frame)

    def _encode(self, images: Tensor) -> Tensor:
        return self._features_of(self.network, self._pixels.apply(images))

    def _features_of(self, network: Any, values: Tensor) -> Tensor:
        found: Tensor = network.forward_features(values)
        if self._features == "pooled":
            pooled: Tensor = network.forward_head(found, pre_logits=True)
            return pooled.flatten(1)
        before = getattr(network, "num_prefix_tokens", 0)
        if self._features == "cls":
            if found.ndim != 3 or before < 1:
                raise ModelError("has no class token: take ?features=pooled or patches")
            return found[:, 0]
        if found.ndim == 4:
            last = getattr(network, "output_fmt", "NCHW") == "NHWC"
            return found.permute(0, 3, 1, 2) if last else found
        if not hasattr(network, "patch_embed"):
            raise ModelError("does not say where its patches are: take ?features=pooled")
        return at_places(found[:, before:], network.patch_embed.grid_size)
