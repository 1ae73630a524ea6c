"""Vision encoders of transformers: ``transformers:FOLDER-or-ID[:subfolder]?features=pooled``.

Images are normalised as ``preprocessor_config.json`` says, or by the options ``mean`` and ``std``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentmap.encoders import LATENT
from latentmap.encoders.adapters.claims import require_weights
from latentmap.encoders.adapters.extras import quietly, require
from latentmap.encoders.adapters.features import FEATURES, Features, at_places, read_features
from latentmap.encoders.adapters.hub import (
    find_folder,
    read_config,
    require_plain,
    require_safetensors,
)
from latentmap.encoders.adapters.preprocessing import Preprocessing, read_preprocessing
from latentmap.encoders.references import Given
from latentmap.errors import ModelError
from latentmap.files import reason_of
from latentmap.model import Model

# Type in config.json -> the class whose forward pass is the vision encoder.
_CLASSES = {
    "clip": "CLIPVisionModel",
    "clip_vision_model": "CLIPVisionModel",
    "convnext": "ConvNextModel",
    "convnextv2": "ConvNextV2Model",
    "deit": "DeiTModel",
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
    "dinov3_vit": "DINOv3ViTModel",
    "resnet": "ResNetModel",
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
    "vit": "ViTModel",
}
# Convolutions take images of any size; so do encoders that interpolate their places by themselves.
_ANY_SIZE = frozenset(
    {"convnext", "convnextv2", "dinov2", "dinov2_with_registers", "dinov3_vit", "resnet"}
)
# Of a configuration, what does not decide the features.
_ASIDE = frozenset(
    {"architectures", "dtype", "id2label", "label2id", "torch_dtype", "transformers_version"}
)
_WEIGHTS = "model"
_FILES = (
    "config.json",
    "preprocessor_config.json",
    f"{_WEIGHTS}.safetensors",
    f"{_WEIGHTS}-*.safetensors",
    f"{_WEIGHTS}.safetensors.index.json",
)
_MOST_MISSING = 3  # Weights that a message names.


def load(given: Given) -> Model:
    """The vision encoder in a folder, or on the hub.

    Raises:
        ModelError: there is none, its weights are no safetensors, they do not fit, it has no such
            features, or transformers is missing.
    """
    options = given.take_options("features", "mean", "std")
    features = read_features(options.get("features", "pooled"))
    library = require("transformers", "transformers")
    folder = find_folder(given.name, _FILES, given.folder, extra="transformers")
    config = read_config(folder)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise ModelError(
            f"{folder} holds a model of the type {kind!r}: known are the vision encoders "
            f"{', '.join(sorted(_CLASSES))}"
        )
    require_plain(folder, config)
    require_safetensors(folder, _WEIGHTS)
    network = _read_network(library, _CLASSES[kind], folder, features)
    vision = config.get("vision_config")
    said = vision if isinstance(vision, dict) else config
    # With the defaults of what the file leaves out.
    size = given.size if kind in _ANY_SIZE else None
    seen = read_preprocessing(folder, network.config.to_dict(), options, size)
    name = f"transformers:{Path(given.name).name}"
    name += f"?features={features}" if "features" in options else ""
    return TransformersModel(network, said, kind, features, seen, name=name)


def _read_network(library: Any, name: str, folder: Path, features: Features) -> Any:
    kind = getattr(library, name, None)
    if kind is None:
        raise ModelError(f"transformers {library.__version__} has no {name}: install a newer one")

    def make() -> nn.Module:
        made: nn.Module = kind(kind.config_class.from_pretrained(str(folder)))
        return made

    with quietly(library):
        require_weights(folder, _WEIGHTS, make)
    try:
        with quietly(library):
            network, read = kind.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
            )
    # Whatever a library makes of somebody else's files.
    except Exception as error:
        reason = reason_of(error)
        if "ignore_mismatched_sizes" in reason:  # It refers to a table that it has logged.
            reason = "the weights have other shapes than config.json says"
        raise ModelError(
            f"{folder} is not as transformers wants it ({reason}): get it again"
        ) from error
    missing = sorted({*read["missing_keys"], *map(str, read["mismatched_keys"])})
    if missing and all(key.startswith("pooler.") for key in missing) and features != "pooled":
        # A classifier has no weights for it. Those that were made up are none of the model's.
        network.pooler = None
        missing = []
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} of the weights, such as "
            f"{', '.join(missing[:_MOST_MISSING])}: get the whole file, or take other features "
            f"({', '.join(FEATURES)})"
        )
    return network.eval().requires_grad_(False)


class TransformersModel(Model):
    """Features of an encoder without a decoder. The network runs once, to see their shape."""

    family = "transformers"
    can_decode = False

    def __init__(
        self,
        network: nn.Module,
        said: Mapping[str, Any],
        kind: str,
        features: Features,
        seen: Preprocessing,
        *,
        name: str,
    ) -> None:
        self._said, self._kind, self._features, self._seen = dict(said), kind, features, seen
        self.any_size = kind in _ANY_SIZE
        seen.pixels.require_channels(seen.image_shape[0], f"the images of {name}")
        shape = self._latent_shape(network, name)
        kept = {key: value for key, value in said.items() if key not in _ASIDE}
        super().__init__(
            network,
            name=name,
            config={
                "class": type(network).__name__,
                "network": {key: value for key, value in kept.items() if key[0] != "_"},
                "features": features,
                "pixels": seen.pixels.to_json(),
                "image_shape": list(seen.image_shape),
                "latent_shape": list(shape),
                "latent_dim": math.prod(shape),
            },
            latent_dim=math.prod(shape),
            latent_shape=shape,
            space_kind=LATENT,
            image_shape=seen.image_shape,
            frame=seen.frame,
        )

    def resized(self, height: int, width: int) -> Model:
        if not self.any_size or (height, width) == self.image_shape[1:]:
            return super().resized(height, width)
        seen = self._seen.resized(height, width)
        model = TransformersModel(
            self.network, self._said, self._kind, self._features, seen, name=self.name
        )
        return model.seen_through(self.frame)

    def _latent_shape(self, network: nn.Module, name: str) -> tuple[int, ...]:
        device = next(network.parameters()).device
        try:
            images = torch.zeros(1, *self._seen.image_shape, device=device)
            with torch.no_grad():
                return tuple(self._features_of(network, images).shape[1:])
        except ModelError as error:
            raise ModelError(f"{name} {error}") from error
        except Exception as error:
            height, width = self._seen.image_shape[1:]
            raise ModelError(
                f"{name} cannot encode images of {height}x{width} ({reason_of(error)}): give "
                "another size"
            ) from error

    def _encode(self, images: Tensor) -> Tensor:
        return self._features_of(self.network, self._seen.pixels.apply(images))

    def _features_of(self, network: Any, values: Tensor) -> Tensor:
        output = network(pixel_values=values)
        last: Tensor = output.last_hidden_state
        if self._features == "pooled":
            pooled = getattr(output, "pooler_output", None)
            if pooled is None:
                raise ModelError("has no pooled features: take ?features=patches, or cls")
            flat: Tensor = pooled.flatten(1)
            return flat
        if last.ndim == 4:  # Of convolutions, at their places already.
            if self._features == "cls":
                raise ModelError("has no class token: take ?features=pooled or patches")
            return last
        rows, columns = _places(network, values.shape[2:])
        before = last.shape[1] - rows * columns  # The class token, and registers.
        if before < 0 or (before == 0 and self._features == "cls"):
            raise ModelError("has no such token: take ?features=pooled")
        if self._features == "cls":
            return last[:, 0]
        return at_places(last[:, before:], (rows, columns))


def _places(network: Any, size: Sequence[int]) -> tuple[int, int]:
    patch = getattr(network.config, "patch_size", None)
    if type(patch) is not int or patch < 1:
        raise ModelError("does not say how large its patches are: take ?features=pooled")
    return size[0] // patch, size[1] // patch
