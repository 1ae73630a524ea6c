"""The StyleGAN families: generators whose codes are in w, z or w+.

Shapes: ``n`` images; z ``(n, z_dim)``, w ``(n, w_dim)``, and w+ ``(n, num_ws * w_dim)``: one w a
layer, side by side.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast, get_args

import torch
from torch import Tensor

from latentmap.codes import Space
from latentmap.encoders.generator import GeneratorModel
from latentmap.encoders.nets.stylegan1 import StyleGAN1
from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan3 import StyleGAN3
from latentmap.encoders.nets.stylegan_codes import broadcast_w, mix_styles, truncate
from latentmap.encoders.nets.stylegan_synthesis import NoiseMode
from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.model import PRECISIONS, Precision
from latentmap.model.clamping import clamp_to_unit

SpaceKind = Literal["w", "z", "w+"]
SPACE_KINDS: tuple[SpaceKind, ...] = get_args(SpaceKind)
NOISE_MODES: tuple[NoiseMode, ...] = get_args(NoiseMode)


class StyleGANModel(GeneratorModel):
    """A StyleGAN generator. It has no encoder: an inversion network gives codes of images.

    A new model decodes codes in w with the noise maps that the network was saved with, which makes
    it deterministic; ``variant`` gives the same network with another space, noise or class.
    """

    network: StyleGAN1 | StyleGAN2 | StyleGAN3
    has_noise: ClassVar[bool] = True

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        name: str | None = None,
        frame: Frame | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__(config, name=name, frame=frame, weights=weights)
        self.classes = int(config["c_dim"])
        self.label: int | None = None
        self.noise: NoiseMode = "const"
        self.precision: Precision = "float32"
        self._noise_generator: torch.Generator | None = None

    @property
    def rendering(self) -> dict[str, Any]:
        """The noise, the class and the precision that images are made with."""
        return {"noise": self.noise, "label": self.label, "precision": self.precision}

    @property
    def num_ws(self) -> int:
        """The number of layers that take a w of their own."""
        return self.network.num_ws

    @property
    def parts(self) -> int:
        """One for each layer in w+, else one."""
        return self.num_ws if self.space.kind == "w+" else 1

    @property
    def standard_normal(self) -> bool:
        """In z, where no other prior was fitted; w is what the mapping network makes of it."""
        return self.prior is None and self.space.kind == "z"

    def variant(
        self,
        *,
        space: SpaceKind | None = None,
        noise: NoiseMode | None = None,
        noise_seed: int = 0,
        label: int | None = None,
        precision: Precision | None = None,
    ) -> StyleGANModel:
        """The same network with other settings; what is not given stays.

        ``space`` is where the codes are. ``noise``: "const" (the stored maps), "none", or "random",
        drawn anew for every image in an order that ``noise_seed`` decides. ``label`` is the class
        of a conditional generator. ``precision`` is that of the convolutions.

        Raises:
            ModelError: a setting is unknown, or the class is not there.
        """
        other = copy.copy(self)
        if space is not None:
            _require_choice("space", space, SPACE_KINDS)
            sizes = {
                "z": int(self.config["z_dim"]),
                "w": int(self.config["latent_dim"]),
                "w+": self.num_ws * int(self.config["latent_dim"]),
            }
            other.latent_dim = sizes[space]
            other.space = Space(space, sizes[space], self.name, self.fingerprint)
        if noise is not None:
            _require_choice("noise", noise, NOISE_MODES)
            if noise == "random" and not self.has_noise:
                raise ModelError(f"{self.name} has no noise that could be drawn: leave it out")
            other.noise = noise
            other._noise_generator = torch.Generator().manual_seed(noise_seed)
        if label is not None:
            if not 0 <= label < self.classes:
                raise ModelError(
                    f"{self.name} has {self.classes} classes, there is no class {label}: "
                    + (f"give 0 to {self.classes - 1}" if self.classes else "it takes none")
                )
            other.label = label
        if other.space.kind == "z" and other.label is not None:
            # One z has another image in every class: to a map these are different spaces.
            digest = hashlib.sha256(f"{self.fingerprint} class {other.label}".encode()).hexdigest()
            other.space = replace(other.space, fingerprint=digest)
        if precision is not None:
            _require_choice("precision", precision, PRECISIONS)
            other.precision = precision
        return other

    def styles(
        self,
        n: int,
        *,
        seed: int = 0,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
        mix_from: int | None = None,
    ) -> Tensor:
        """Codes in w+ ``(n, num_ws * w_dim)`` of samples whose layers differ.

        Only the layers before ``truncation_cutoff`` are drawn towards the mean, and those from
        ``mix_from`` on belong to a second sample (style mixing). Without the two, every layer has
        the w of ``sample``.

        Raises:
            ModelError: a layer is not there.
        """
        for what, layer in (("truncation cutoff", truncation_cutoff), ("mixing", mix_from)):
            if layer is not None and not 0 <= layer <= self.num_ws:
                raise ModelError(
                    f"{self.name} has {self.num_ws} layers: the {what} must be from 0 to "
                    f"{self.num_ws}, not {layer}"
                )
        in_w = self.variant(space="w")
        ws = broadcast_w(in_w.sample(n, seed=seed), self.num_ws)
        if mix_from is not None:
            # Another stream of the same seed: the first sample stays what it is without mixing.
            second = in_w.sample(2 * n, seed=seed)[n:]
            ws = mix_styles(ws, broadcast_w(second, self.num_ws), mix_from)
        return truncate(ws, self.network.mapping.w_avg, truncation, truncation_cutoff).flatten(1)

    def _decode(self, codes: Tensor) -> Tensor:
        images = self._synthesize(self._ws(codes), getattr(torch, self.precision))
        return clamp_to_unit(images * 0.5 + 0.5)

    def _synthesize(self, ws: Tensor, dtype: torch.dtype) -> Tensor:
        network = cast(StyleGAN1 | StyleGAN2, self.network)
        images: Tensor = network.synthesis(
            ws, noise=self.noise, generator=self._noise_generator, dtype=dtype
        )
        return images

    def _ws(self, codes: Tensor) -> Tensor:
        """One w a layer, ``(n, num_ws, w_dim)``, of codes in this model's space."""
        if self.space.kind == "w+":
            ws: Tensor = codes.unflatten(1, (self.num_ws, -1))
            return ws
        w = self._map(codes) if self.space.kind == "z" else codes
        return broadcast_w(w, self.num_ws)

    def _map(self, z: Tensor) -> Tensor:
        labels = None
        if self.classes:
            if self.label is None:
                raise ModelError(
                    f"{self.name} is conditional: choose one of its classes, 0 to "
                    f"{self.classes - 1}, with --class or variant(label=...)"
                )
            labels = torch.zeros(len(z), self.classes, device=z.device)
            labels[:, self.label] = 1
        w: Tensor = self.network.mapping(z, labels)
        return w

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        z = torch.randn(n, int(self.config["z_dim"]), generator=generator)
        if self.space.kind == "z":
            return z
        w = self._map(z.to(self.device))
        return w if self.space.kind == "w" else broadcast_w(w, self.num_ws).flatten(1)

    def _truncate(self, codes: Tensor, truncation: float) -> Tensor:
        if self.space.kind == "z":
            raise ModelError(
                f"truncation moves codes in w, and these are in z of {self.name}: sample in w, or "
                "without truncation"
            )
        ws = codes.unflatten(1, (-1, int(self.config["latent_dim"])))
        return truncate(ws, self.network.mapping.w_avg, truncation).flatten(1)


class StyleGAN1Model(StyleGANModel):
    """A StyleGAN 1 generator; ``config``: see ``latentmap.encoders.nets.stylegan1``."""

    family = "stylegan1"

    def _network(self, config: Mapping[str, Any]) -> StyleGAN1:
        return StyleGAN1(config)


class StyleGAN2Model(StyleGANModel):
    """A StyleGAN 2 generator; ``config``: see ``latentmap.encoders.nets.stylegan2``."""

    family = "stylegan2"

    def _network(self, config: Mapping[str, Any]) -> StyleGAN2:
        return StyleGAN2(config)


class StyleGAN3Model(StyleGANModel):
    """A StyleGAN 3 generator; ``config``: see ``latentmap.encoders.nets.stylegan3``."""

    family = "stylegan3"
    has_noise = False

    def _network(self, config: Mapping[str, Any]) -> StyleGAN3:
        return StyleGAN3(config)

    def _synthesize(self, ws: Tensor, dtype: torch.dtype) -> Tensor:
        images: Tensor = self.network.synthesis(ws, dtype=dtype)
        return images


def _require_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ModelError(f"unknown {what} {value!r}: choose one of {', '.join(choices)}")
