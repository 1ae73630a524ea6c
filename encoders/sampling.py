"""Codes drawn from a model's prior, with the settings that only StyleGAN has."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from latentmap.codes import Codes
from latentmap.encoders.nets.stylegan_synthesis import NoiseMode
from latentmap.encoders.stylegan import SpaceKind, StyleGANModel
from latentmap.errors import ModelError
from latentmap.model import Model, Precision, sample_codes

if TYPE_CHECKING:
    from latentmap.encoders.inverted import InvertedModel  # Which imports this module.


def adjust(
    model: Model,
    *,
    space: SpaceKind | None = None,
    noise: NoiseMode | None = None,
    noise_seed: int = 0,
    label: int | None = None,
    precision: Precision | None = None,
) -> Model:
    """The model with these settings (see ``StyleGANModel.variant``); what is None stays as it is.

    Raises:
        ModelError: the model is no StyleGAN and something is given, or it does not have the class.
    """
    given = {"space": space, "noise": noise, "class": label, "precision": precision}
    wanted = [name for name, value in given.items() if value is not None]
    if not wanted:
        return model
    generator = _require_stylegan(model, " and ".join(wanted))
    return generator.variant(
        space=space, noise=noise, noise_seed=noise_seed, label=label, precision=precision
    )


def draw_codes(
    model: Model,
    n: int,
    *,
    seed: int = 0,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    mix_from: int | None = None,
) -> Codes:
    """``n`` codes from the prior of ``model``, in its space; in w+ where layers shall differ.

    ``truncation_cutoff`` and ``mix_from``: see ``StyleGANModel.styles``.

    Raises:
        ModelError: layers shall differ and the model is no StyleGAN, or has fewer layers.
    """
    if truncation_cutoff is None and mix_from is None:
        vectors = model.sample(n, seed=seed, truncation=truncation)
        return sample_codes(vectors, model, seed=seed)
    generator = _require_stylegan(model, "layers with codes of their own").variant(space="w+")
    vectors = generator.styles(
        n,
        seed=seed,
        truncation=truncation,
        truncation_cutoff=truncation_cutoff,
        mix_from=mix_from,
    )
    return sample_codes(vectors, generator, seed=seed)


def _require_stylegan(model: Model, what: str) -> StyleGANModel | InvertedModel:
    """A StyleGAN, with or without an inversion network."""
    generator = getattr(model, "generator", model)
    if not isinstance(generator, StyleGANModel):
        raise ModelError(
            f"{model.name} is a model of the family {generator.family}: only a StyleGAN has a "
            f"choice of {what}, leave it out"
        )
    return cast("StyleGANModel | InvertedModel", model)
