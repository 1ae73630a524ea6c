"""The inverted family: a generator and the inversion network that gives its codes of images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from latentmap.encoders.boxes import box_frame, box_shape
from latentmap.encoders.building import build_network
from latentmap.encoders.nets.inversion import InversionNetwork
from latentmap.encoders.nets.stylegan_synthesis import NoiseMode
from latentmap.encoders.sampling import adjust
from latentmap.encoders.stylegan import SpaceKind, StyleGANModel
from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.model import Model, Precision

_GENERATOR, _INVERSION = "generator.", "inversion."


class InvertedModel(Model):
    """A generator of any family that is decoded with, and an inversion network that encodes.

    Its codes are in the generator's own space: what is drawn from the generator, or mapped to it,
    is decoded here, and a map that was fitted with the one serves the other. ``add_inversion``
    makes one, ``assemble`` makes it again of what its file says.

    ``config``: ``generator`` (its ``family``, ``config``, ``frame`` and, where it knows classes,
    ``class``), ``generator_fingerprint``, ``network`` (see ``default_network``), ``space``,
    ``view``, ``image_shape``, ``latent_dim``. ``view`` is the box of the generated picture that the
    inversion network sees. Such a model shows this box alone, in both directions: its ``frame`` is
    that box of the generator's frame, its images are the box's pixels. For the whole picture,
    decode the codes with the generator.
    """

    family = "inverted"
    is_generator = True

    def __init__(
        self,
        generator: Model,
        inversion: InversionNetwork,
        config: Mapping[str, Any],
        *,
        name: str,
        frame: Frame | None = None,
    ) -> None:
        self.generator, self.inversion = generator, inversion
        self._box = Frame(config["view"]).pixels(*generator.image_shape[1:])
        super().__init__(
            nn.ModuleDict({"generator": generator.network, "inversion": inversion}),
            name=name,
            config=config,
            latent_dim=generator.latent_dim,
            image_shape=box_shape(generator, config["view"]),
            frame=frame or box_frame(generator, config["view"]),
            space=generator.space,
        )

    @classmethod
    def assemble(
        cls,
        config: Mapping[str, Any],
        *,
        build: Callable[..., Model],
        weights: Mapping[str, Tensor],
        name: str | None = None,
        frame: Frame | None = None,
    ) -> InvertedModel:
        """The model that ``config`` describes, which may come from a file; ``build`` makes the
        generator in it of a family and a configuration.

        Raises:
            ModelError: ``config`` or the weights do not fit, or the inversion network was trained
                for another generator.
        """
        name = name or cls.family
        said = _Description.of(config)
        of_generator, of_inversion = _split(weights)
        generator = build(
            said.family, said.config, name=name, frame=said.frame, weights=of_generator
        )
        if generator.fingerprint != said.fingerprint:
            raise ModelError(
                f"the inversion network in {name} is for the generator "
                f"{said.fingerprint[:12]}, but is together with "
                f"{generator.fingerprint[:12]}: train one for this generator with `latentmap train "
                "inversion`"
            )
        generator = adjust(in_space(generator, said.space), label=said.label)
        shape = box_shape(generator, said.view)
        if (said.image_shape, said.latent_dim) != (shape, generator.latent_dim):
            raise ModelError(
                f"the generator in {name} makes images {shape} of {generator.latent_dim} "
                f"variables, not {said.image_shape} of {said.latent_dim}: the file is damaged, get "
                "it again"
            )
        inversion = build_network(
            cls.family,
            lambda: InversionNetwork(said.network, shape, generator.latent_dim),
            of_inversion,
        )
        return cls(generator, inversion, config, name=name, frame=frame)

    @property
    def rendering(self) -> dict[str, Any]:
        """Those of the generator."""
        return self.generator.rendering

    def variant(
        self,
        *,
        space: SpaceKind | None = None,
        noise: NoiseMode | None = None,
        noise_seed: int = 0,
        label: int | None = None,
        precision: Precision | None = None,
    ) -> InvertedModel:
        """The same model with other settings of its StyleGAN generator, see
        ``StyleGANModel.variant``.

        The inversion network knows the space that it was trained for, in z that of its class; in w+
        it gives every layer its w. Elsewhere the model gives no codes of images.

        Raises:
            ModelError: the generator has no such setting.
        """
        other = copy.copy(self)
        other.generator = adjust(
            self.generator,
            space=space,
            noise=noise,
            noise_seed=noise_seed,
            label=label,
            precision=precision,
        )
        other.latent_dim, other.space = other.generator.latent_dim, other.generator.space
        known, now = self.config["space"], other.space.kind
        same_class = getattr(other.generator, "label", None) == self.config["generator"]["class"]
        other.can_encode = (known, now) == ("w", "w+") or (
            known == now and (known != "z" or same_class)
        )
        return other

    def styles(self, n: int, **layers: Any) -> Tensor:
        """Codes in w+ of samples whose layers differ, see ``StyleGANModel.styles``."""
        return cast(StyleGANModel, self.generator).styles(n, **layers)

    @property
    def parts(self) -> int:
        """Those of the generator."""
        return self.generator.parts

    @property
    def standard_normal(self) -> bool:
        """As of the generator, where no other prior was fitted."""
        return self.prior is None and self.generator.standard_normal

    def crop(self, pictures: Tensor) -> Tensor:
        """What the inversion network sees of generated pictures ``(n, c, h, w)``."""
        top, left, bottom, right = self._box
        return pictures[:, :, top:bottom, left:right]

    def require_encoder(self) -> None:
        """Refuses, by a ``ModelError``, where the network gives codes in another space."""
        if not self.can_encode:
            raise ModelError(
                f"the inversion network in {self.name} gives codes in {self.config['space']}, not "
                f"in {self.space.kind}: encode in {self.config['space']}, or search for codes"
            )

    def _encode(self, images: Tensor) -> Tensor:
        codes: Tensor = self.inversion(images)
        return codes.repeat(1, self.latent_dim // codes.shape[1])

    def _decode(self, codes: Tensor) -> Tensor:
        return self.crop(self.generator._decode(codes))

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.generator._sample(n, generator)

    def _truncate(self, codes: Tensor, truncation: float) -> Tensor:
        return self.generator._truncate(codes, truncation)


def add_inversion(
    generator: Model,
    network: InversionNetwork,
    network_config: Mapping[str, Any],
    *,
    box: str = "full",
    name: str,
) -> InvertedModel:
    """The generator, in the space that it is in now, and a network with its codes as one model.

    The weights of the two are shared, not copied; what is trained goes on being trained. A network
    learns from generated images, and from real ones only of those that the generator was trained
    on (see ``require_domain``), so the pair has seen what the generator has.

    Raises:
        ModelError: the generator is such a model itself, or the network is for another shape.
    """
    made: Callable[..., Model] = type(generator)
    config = {
        "generator": {
            "family": generator.family,
            "config": generator.config,
            "frame": generator.frame.to_json(),
            "class": getattr(generator, "label", None),
        },
        "generator_fingerprint": generator.fingerprint,
        "network": dict(network_config),
        "space": generator.space.kind,
        "view": box,
        "image_shape": list(box_shape(generator, box)),
        "latent_dim": generator.latent_dim,
    }
    weights = {_GENERATOR + key: value for key, value in generator.network.state_dict().items()}
    weights |= {_INVERSION + key: value for key, value in network.state_dict().items()}
    model = InvertedModel.assemble(
        config, build=lambda _, own, **more: made(own, **more), weights=weights, name=name
    )
    model.seen, model.prior = generator.seen, generator.prior
    if model.image_shape == generator.image_shape:
        model.boxes = dict(generator.boxes)
    return model


def unwrap(model: Model) -> Model:
    """The generator of an inverted model, a new one with its weights; any other model as it is."""
    if not isinstance(model, InvertedModel):
        return model
    generator = copy.copy(model.generator)
    generator.seen, generator.prior = model.seen, model.prior
    if model.image_shape == generator.image_shape:
        generator.boxes = dict(model.boxes)
    return generator


def in_space(model: Model, space: str) -> Model:
    """A generator, or an inverted model, with its codes in ``space``.

    Raises:
        ModelError: it has no such space.
    """
    if space == model.space.kind:
        return model
    return adjust(model, space=cast(SpaceKind, space))


@dataclass(frozen=True)
class _Description:
    """What the configuration of an inverted model says of its generator and of itself."""

    family: str
    config: dict[str, Any]
    frame: Frame
    label: int | None
    fingerprint: str
    network: Mapping[str, Any]
    space: str
    view: str
    image_shape: tuple[int, ...]
    latent_dim: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> _Description:
        try:
            inner = config["generator"]
            said = cls(
                inner["family"],
                inner["config"],
                Frame.from_json(inner["frame"]),
                inner["class"],
                config["generator_fingerprint"],
                config["network"],
                config["space"],
                config["view"],
                tuple(config["image_shape"]),
                config["latent_dim"],
            )
            texts = (said.family, said.fingerprint, said.space, said.view)
            if not all(isinstance(text, str) for text in texts):
                raise TypeError(f"family, fingerprint, space and view are texts, not {texts}")
            if not isinstance(said.label, int | None):
                raise TypeError(f"the class is a number, not {said.label!r}")
            if said.family == InvertedModel.family:
                raise TypeError("its generator is such a model itself")
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"this is no {InvertedModel.family} model: its configuration does not fit "
                f"({error!r})"
            ) from None
        return said


def _split(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of the generator and of the inversion network, by their own names."""
    generator = {key: value for key, value in weights.items() if key.startswith(_GENERATOR)}
    # A name of neither stays as it is, and fits nothing.
    inversion = {key: value for key, value in weights.items() if key not in generator}
    return (
        {key.removeprefix(_GENERATOR): value for key, value in generator.items()},
        {key.removeprefix(_INVERSION): value for key, value in inversion.items()},
    )
