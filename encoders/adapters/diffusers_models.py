"""Autoencoders of diffusers: ``diffusers:FOLDER-or-ID[:subfolder]``.

Codes are what a diffusion model works on: latents (of a distribution its mean) shifted and scaled
as the configuration says. Shapes: images ``(n, c, h, w)``, latents ``(n, channels, h / factor, w /
factor)``; autoencoders of videos take an image for a video of one frame.
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
from latentmap.encoders.adapters.hub import (
    LARGEST_SIDE,
    find_folder,
    read_config,
    require_plain,
    require_safetensors,
)
from latentmap.encoders.adapters.scaling import Scaling, read_numbers
from latentmap.encoders.references import Given
from latentmap.errors import ModelError
from latentmap.files import reason_of
from latentmap.model import Model, Posterior
from latentmap.model.clamping import clamp_to_unit

_WEIGHTS = "diffusion_pytorch_model"
_FILES = (
    "config.json",
    f"{_WEIGHTS}.safetensors",
    f"{_WEIGHTS}-*.safetensors",
    f"{_WEIGHTS}.safetensors.index.json",
)
# These take images in [0, 1], and shift and scale their latents themselves.
_SCALED_INSIDE = frozenset({"AutoencoderRAE"})
_STATISTICS = ("latents_mean", "latents_std")
_SIZE = 256  # Of images, where a configuration names none, or a huge one.
_MOST_MISSING = 3  # Weights that a message names.


def load(given: Given) -> Model:
    """The autoencoder in a folder, or on the hub.

    Raises:
        ModelError: there is none, its weights are no safetensors, they do not fit, it takes no
            images of this size, or diffusers is missing.
    """
    given.take_options()
    library = require("diffusers", "diffusers")
    folder = find_folder(given.name, _FILES, given.folder, extra="diffusers")
    config = read_config(folder)
    kind = _class_of(library, config, folder)
    require_safetensors(folder, _WEIGHTS)
    network = _read_network(library, kind, folder, config)
    said = {key: value for key, value in config.items() if not key.startswith("_")}
    name = f"diffusers:{Path(given.name).name}"
    own = said.get("sample_size") or said.get("image_size")
    side = own if type(own) is int and 0 < own <= LARGEST_SIDE else _SIZE
    return behind_contract(network, said, given.size or (side, side), name)


def _class_of(library: Any, config: Mapping[str, Any], folder: Path) -> Any:
    name = str(config.get("_class_name"))
    # Others of that library are not looked at.
    known = name.isidentifier() and ("Autoencoder" in name or name == "VQModel")
    kind = getattr(library, name, None) if known else None
    if kind is None or not all(hasattr(kind, verb) for verb in ("encode", "decode")):
        raise ModelError(
            f"{folder} holds {name!r}, which is no autoencoder that diffusers "
            f"{library.__version__} knows: name the folder of one, such as FOLDER:vae"
        )
    require_plain(folder, config)
    return kind


def _read_network(library: Any, kind: Any, folder: Path, config: Mapping[str, Any]) -> nn.Module:
    with quietly(library):
        require_weights(folder, _WEIGHTS, lambda: kind.from_config(dict(config)))
    try:
        with quietly(library):
            network, read = kind.from_pretrained(
                str(folder),
                local_files_only=True,
                use_safetensors=True,
                low_cpu_mem_usage=False,
                torch_dtype=torch.float32,
                output_loading_info=True,
            )
    # Whatever a library makes of somebody else's files.
    except Exception as error:
        raise ModelError(
            f"{folder} is not as diffusers wants it ({reason_of(error)}): get it again"
        ) from error
    missing = [*read["missing_keys"], *map(str, read["mismatched_keys"])]
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} of the weights, such as "
            f"{', '.join(missing[:_MOST_MISSING])}: get the whole file"
        )
    checked: nn.Module = network
    return checked.eval().requires_grad_(False)


def _full_config(network: Any) -> dict[str, Any]:
    """The configuration of a network, with the defaults of what its file leaves out, and the
    statistics of latents that some keep with the weights (LTX).
    """
    kept = {name: tensor.tolist() for name, tensor in network.named_buffers(recurse=False)}
    return {**{name: kept[name] for name in _STATISTICS if name in kept}, **network.config}


def _scaling_of(config: Mapping[str, Any]) -> Scaling:
    """How codes come of latents: what ``scaling_factor``, ``shift_factor``, ``latents_mean`` and
    ``latents_std`` say.

    Raises:
        ModelError: one of them is not as it should be.
    """
    mean = _numbers(config, "latents_mean", "shift_factor", default=0.0)
    std = _numbers(config, "latents_std", default=1.0, positive=True)
    (factor, *_) = _numbers(config, "scaling_factor", default=1.0, positive=True)
    return Scaling(mean, tuple(one / factor for one in std))


def _numbers(
    config: Mapping[str, Any], *names: str, default: float, positive: bool = False
) -> tuple[float, ...]:
    for name in names:
        if config.get(name) is not None:
            return read_numbers(config[name], f"{name} in config.json", positive=positive)
    return (default,)


def behind_contract(
    network: nn.Module, said: Mapping[str, Any], size: tuple[int, int], name: str
) -> DiffusersModel:
    """An autoencoder for images of ``size`` (height, width); ``said`` is what its folder says of
    it. The network runs once, to see what latents it gives.

    Raises:
        ModelError: it takes no images of this size.
    """
    height, width = size
    full = _full_config(network)
    factor = _factor(full)
    if height % factor or width % factor:
        fits = "x".join(str(max(side // factor, 1) * factor) for side in size)
        raise ModelError(
            f"{name} takes images whose sides are multiples of {factor}, not {height}x{width}: "
            f"give a size such as {fits}"
        )
    channels = 1 if full.get("in_channels") == 1 else 3
    try:
        images = torch.zeros(1, channels, *size, device=next(network.parameters()).device)
        with torch.no_grad():
            mean, variance = _encoded(network, images)
    except Exception as error:
        raise ModelError(
            f"{name} cannot encode images of {height}x{width} ({reason_of(error)}): give another "
            "size"
        ) from error
    kind = DiffusersModel if variance is None else DiffusersVAE
    return kind(network, said, name=name, image_shape=images.shape[1:], latent_shape=mean.shape[1:])


def _factor(said: Mapping[str, Any]) -> int:
    """How many pixels of a side a latent stands for; 1 where the configuration does not tell."""
    direct = said.get("spatial_compression_ratio") or said.get("scale_factor_spatial")
    blocks = said.get("encoder_block_out_channels") or said.get("block_out_channels")
    if type(direct) is int and direct > 0:
        return direct
    return 2 ** (len(blocks) - 1) if isinstance(blocks, list | tuple) and blocks else 1


class DiffusersModel(Model):
    """An autoencoder that gives one latent an image."""

    family = "diffusers"
    any_size = True

    def __init__(
        self,
        network: nn.Module,
        said: Mapping[str, Any],
        *,
        name: str,
        image_shape: Sequence[int],
        latent_shape: Sequence[int],
    ) -> None:
        channels, height, width = image_shape
        inside = type(network).__name__ in _SCALED_INSIDE
        self._said = dict(said)
        self._pixels = Scaling() if inside else Scaling.of_range(-1, 1)
        self._scaling = Scaling() if inside else _scaling_of(_full_config(network))
        self._scaling.require_channels(latent_shape[0], f"the latents of {name}")
        config = {
            "class": type(network).__name__,
            "network": self._said,
            "latents": self._scaling.to_json(),
            "image_shape": list(image_shape),
            "latent_shape": list(latent_shape),
            "latent_dim": math.prod(latent_shape),
        }
        super().__init__(
            network,
            name=name,
            config=config,
            latent_dim=math.prod(latent_shape),
            latent_shape=tuple(latent_shape),
            space_kind=LATENT,
            image_shape=(channels, height, width),
        )

    @property
    def latent_scaling(self) -> tuple[Sequence[float], Sequence[float]] | None:
        scaling = self._scaling
        return None if scaling == Scaling() else (scaling.mean, scaling.std)

    def resized(self, height: int, width: int) -> Model:
        if (height, width) == self.image_shape[1:]:
            return self
        model = behind_contract(self.network, self._said, (height, width), self.name)
        return model.seen_through(self.frame)

    def _encode(self, images: Tensor) -> Tensor:
        mean, _ = _encoded(self.network, self._pixels.apply(images))
        return self._scaling.apply(mean)

    def _decode(self, codes: Tensor) -> Tensor:
        latents = self._scaling.undo(codes)
        network: Any = self.network
        if _takes_videos(network):
            images = network.decode(latents.unsqueeze(2)).sample.squeeze(2)
        else:
            images = network.decode(latents).sample
        return clamp_to_unit(self._pixels.undo(images))


class DiffusersVAE(DiffusersModel):
    """An autoencoder that gives a distribution of latents: codes are its means."""

    def _encode(self, images: Tensor) -> Tensor:
        return self._posterior(images).mean

    def _posterior(self, images: Tensor) -> Posterior:
        mean, variance = _encoded(self.network, self._pixels.apply(images))
        if variance is None:
            raise self._without_posterior()
        return Posterior(self._scaling.apply(mean), self._scaling.of_variance(variance))


def _encoded(network: Any, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """The latents of images ``(n, c, h, w)``, and their variances where there is a distribution."""
    videos = _takes_videos(network)
    output = network.encode(images.unsqueeze(2) if videos else images)
    if "latent_dist" in output:
        mean, variance = output["latent_dist"].mean, output["latent_dist"].var
    else:
        mean, variance = output["latents" if "latents" in output else "latent"], None
    if videos:
        mean, variance = (None if one is None else one.squeeze(2) for one in (mean, variance))
    # In float32, in which they are scaled: half the bits would round the factors, and so all codes.
    return mean.float(), None if variance is None else variance.float()


def _takes_videos(network: nn.Module) -> bool:
    return any(isinstance(layer, nn.Conv3d) for layer in network.modules())
