"""The inverted family: a generator and the inversion network that gives its codes of images."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

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
    is decoded here, and a map that was fitted with the one serves the other.

    ``config``: ``generator`` (its ``family``, ``config``, ``frame`` and, where it knows classes,
    ``class``), ``generator_fingerprint``, ``network`` (see ``default_network``), ``space``,
    ``view``, ``image_shape``, ``latent_dim``. ``view`` is the box of the generated picture that the
    inversion network sees. Such a model shows this box alone, in both directions: its ``frame`` is
    that box of the generator's frame, its images are the box's pixels. For the whole picture,
    decode the codes with the generator.

    Raises:
        ModelError: ``config`` or the weights do not fit, or the inversion network was trained for
            another generator.
    """

    family = "inverted"
    is_generator = True

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        name: str | None = None,
        frame: Frame | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        from latentmap.encoders import build  # Which knows this module by its table.

        name = name or self.family
        made, inverse = (None, None) if weights is None else _split(weights)
        try:
            inner = config["generator"]
            if inner["family"] == self.family:
                raise TypeError("its generator is such a model itself")
            generator = build(
                inner["family"],
                inner["config"],
                name=name,
                frame=Frame.from_json(inner["frame"]),
                weights=made,
            )
            generator = adjust(in_space(generator, config["space"]), label=inner["class"])
            self.box = Frame(config["view"]).pixels(*generator.image_shape[1:])
            shape = view_shape(generator, config["view"])
            said = (tuple(config["image_shape"]), config["latent_dim"])
        except (LookupError, TypeError, AttributeError) as error:
            raise ModelError(
                f"this is no {self.family} model: its configuration does not fit ({error!r})"
            ) from None
        if generator.fingerprint != config["generator_fingerprint"]:
            raise ModelError(
                f"the inversion network in {name} is for the generator "
                f"{str(config['generator_fingerprint'])[:12]}, but is together with "
                f"{generator.fingerprint[:12]}: train one for this generator with `latentmap train "
                "inversion`"
            )
        if said != (shape, generator.latent_dim):
            raise ModelError(
                f"the generator in {name} makes images {shape} of {generator.latent_dim} "
                f"variables, not {said[0]} of {said[1]}: the file is damaged, get it again"
            )
        self.generator = generator
        self.inversion = build_network(
            self.family,
            lambda: InversionNetwork(config["network"], shape, generator.latent_dim),
            inverse,
        )
        network = nn.ModuleDict({"generator": generator.network, "inversion": self.inversion})
        super().__init__(
            network,
            name=name,
            config=config,
            latent_dim=generator.latent_dim,
            image_shape=shape,
            frame=frame or view_frame(generator, config["view"]),
            space=generator.space,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the generator."""
        return self.generator.settings

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
        other.latent_dim = other.generator.latent_dim
        other.space = other.generator.space
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

    def crop(self, pictures: Tensor) -> Tensor:
        """What the inversion network sees of generated pictures ``(n, c, h, w)``."""
        top, left, bottom, right = self.box
        return pictures[:, :, top:bottom, left:right]

    def _encode(self, images: Tensor) -> Tensor:
        if not self.can_encode:
            raise ModelError(
                f"the inversion network in {self.name} gives codes in {self.config['space']}, not "
                f"in {self.space.kind}: encode in {self.config['space']}, or search for codes"
            )
        codes: Tensor = self.inversion(images)
        return codes.repeat(1, self.latent_dim // codes.shape[1])

    def _decode(self, codes: Tensor) -> Tensor:
        return self.crop(self.generator._decode(codes))

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.generator._sample(n, generator)

    def _truncate(self, codes: Tensor, truncation: float) -> Tensor:
        return self.generator._truncate(codes, truncation)


def invert(
    generator: Model,
    network: InversionNetwork,
    network_config: Mapping[str, Any],
    *,
    view: str = "full",
    name: str,
) -> InvertedModel:
    """The generator, in the space that it is in now, and a network with its codes as one model.

    The two networks are shared, not copied.
    """
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
        "view": view,
        "image_shape": list(view_shape(generator, view)),
        "latent_dim": generator.latent_dim,
    }
    weights = {_GENERATOR + key: value for key, value in generator.network.state_dict().items()}
    weights |= {_INVERSION + key: value for key, value in network.state_dict().items()}
    model = InvertedModel(config, name=name, weights=weights)
    if model.image_shape == generator.image_shape:
        model.views = dict(generator.views)
    return model


def view_shape(generator: Model, view: str) -> tuple[int, int, int]:
    """Channels, height and width of a box of the generated pictures, in whole pixels."""
    channels, height, width = generator.image_shape
    top, left, bottom, right = Frame(view).pixels(height, width)
    return (channels, bottom - top, right - left)


def view_frame(generator: Model, view: str) -> Frame:
    """The frame that shows a box of the generator's frame; exactly the pixels of ``view_shape``.

    Raises:
        ModelError: the generator's frame is another box of every picture.
    """
    outer = generator.frame
    _, height, width = generator.image_shape
    box = Frame(view).pixels(height, width)
    if box == (0, 0, height, width):
        return outer
    if outer.name == "center":
        raise ModelError(
            f"{generator.name} has the frame center, another box of every picture, so that a view "
            f"{view} of it is none: leave it out, or train the generator with top,left,bottom,right"
        )
    top, left, bottom, right = outer.box(height, width)
    edges = (
        top + (bottom - top) * box[0] / height,
        left + (right - left) * box[1] / width,
        top + (bottom - top) * box[2] / height,
        left + (right - left) * box[3] / width,
    )
    return Frame(",".join(map(repr, edges)), outer.resize)


def unwrap(model: Model) -> Model:
    """The generator of an inverted model; any other model as it is."""
    if not isinstance(model, InvertedModel):
        return model
    if model.image_shape == model.generator.image_shape:
        model.generator.views = dict(model.views)
    return model.generator


def in_space(model: Model, space: str) -> Model:
    """A generator, or an inverted model, with its codes in ``space``.

    Raises:
        ModelError: it has no such space.
    """
    if space == model.space.kind:
        return model
    return adjust(model, space=cast(SpaceKind, space))


def _split(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of the generator and of the inversion network, by their own names."""
    generator, inversion = {}, {}
    for key, value in weights.items():
        if key.startswith(_GENERATOR):
            generator[key[len(_GENERATOR) :]] = value
        else:
            # A name of neither stays as it is, and fits nothing.
            inversion[key.removeprefix(_INVERSION)] = value
    return generator, inversion
