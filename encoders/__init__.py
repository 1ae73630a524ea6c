"""Adapters: networks behind the contract of ``latentmap.model.Model``, and how to load them."""

from __future__ import annotations

if __name__ != "latentmap.encoders":
    raise ImportError(
        f"this folder is the package latentmap.encoders; it was imported as {__name__!r}"
    )

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from latentmap.errors import ModelError

if TYPE_CHECKING:
    import torch

    from latentmap.encoders.plugins import Plugin
    from latentmap.encoders.references import Given
    from latentmap.model import Model

__all__ = ["FAMILIES", "SPACES", "build", "find", "load", "load_all", "require_family"]

# Family name, as it stands in model files -> "module:Class".
FAMILIES: dict[str, str] = {
    "gan": "latentmap.encoders.gan:GANModel",
    "inverted": "latentmap.encoders.inverted:InvertedModel",
    "layers": "latentmap.encoders.layers:LayersModel",
    "split-vae": "latentmap.encoders.split_vae:SplitVAEModel",
    "stylegan1": "latentmap.encoders.stylegan:StyleGAN1Model",
    "stylegan2": "latentmap.encoders.stylegan:StyleGAN2Model",
    "stylegan3": "latentmap.encoders.stylegan:StyleGAN3Model",
    "tiny-autoencoder": "latentmap.encoders.tiny_autoencoder:TinyAutoencoderModel",
    "vae": "latentmap.encoders.vae:VAEModel",
}

# What a space is called whose codes have no prior, but come of images alone: of an encoder alone,
# or an autoencoder. Nothing is said of their scale.
LATENT = "latent"
# The spaces that a family's codes can be in, its own first; a family that is not here has z alone,
# whose prior is normal with variance 1.
SPACES: dict[str, tuple[str, ...]] = {
    "tiny-autoencoder": (LATENT,),
    "stylegan1": ("w", "z", "w+"),
    "stylegan2": ("w", "z", "w+"),
    "stylegan3": ("w", "z", "w+"),
}


_LONGEST = 80  # Of a name that a message quotes.


def build(family: str, config: dict[str, Any], **attributes: Any) -> Model:
    """A model of a family with fresh weights; ``config`` is what the family's network takes.

    Raises:
        ModelError: no such family, or a configuration that does not fit it.
    """
    require_family(family)
    if family in FAMILIES:
        module, _, name = FAMILIES[family].partition(":")
        kind = getattr(importlib.import_module(module), name)
    else:
        kind = cast("Plugin", _plugin(family)).load_family()
    # A model that holds one of another family is handed what makes that.
    make = partial(kind.assemble, build=build) if hasattr(kind, "assemble") else kind
    model: Model = make(config, **attributes)
    return model


def spaces_of(family: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The spaces that the codes of a model of a family can be in, its own first."""
    # An inverted model is in one of its generator's spaces, and says in which.
    own = config.get("space")
    if own:
        return (own,)
    if family == "layers" and "encoder" in config:
        return (LATENT,)
    return SPACES.get(family, ("z",))


def require_family(family: object) -> None:
    """Passes where there is a family of this name, of ours or of another package.

    Raises:
        ModelError: there is none.
    """
    if not isinstance(family, str) or (family not in FAMILIES and _plugin(family) is None):
        raise ModelError(
            f"unknown model family {str(family)[:_LONGEST]!r}: this version knows "
            f"{', '.join(FAMILIES)}"
        )


def _plugin(family: str) -> Plugin | None:
    from latentmap.encoders.plugins import find_plugin

    return find_plugin(family)


def find(reference: str | Path) -> Path:
    """The file that a reference stands for: a path, or else the name of a bundled model.

    Raises:
        ModelError: it is neither; the message has the bundled names that are nearest to it.
    """
    from latentmap.encoders.bundled import bundled_models

    path, bundled = Path(reference), bundled_models()
    if not path.is_file() and str(reference) in bundled:
        return bundled[str(reference)]
    if not path.exists():
        close = difflib.get_close_matches(str(reference), bundled)
        raise ModelError(
            f"there is no model file {path}: "
            + (f"did you mean {' or '.join(close)}? Else " if close else "")
            + "give the path of a model file that `latentmap train` or `latentmap import` made, or "
            "the name of a bundled model (`latentmap models`)"
        )
    return path


def load(
    reference: str | Path,
    *,
    device: str | torch.device = "cpu",
    size: tuple[int, int] | None = None,
) -> Model:
    """The model that a reference names, in evaluation mode on ``device``.

    A reference is the path of a model file, the name of a bundled model, the path of a file of
    codes (``codes.npz``, also ``codes.npz?codes=KEY&ids=KEY``; see ``open_code_file``), or
    ``scheme:name`` with one of ``latentmap.encoders.references.SCHEMES``; ``?size=256x192`` after
    it, or ``size`` (height, width), chooses the size of the images where the model takes any.
    ``size`` has no effect on others, the size in a reference is refused by them.

    Raises:
        ModelError: there is no such model; or its file is cut off, damaged, or not a model of a
            known family.
        SpaceError: a file of codes cannot be read.
    """
    (model,) = load_all([reference], device=device, size=size)
    return model


def load_all(
    references: Sequence[str | Path],
    *,
    device: str | torch.device = "cpu",
    size: tuple[int, int] | None = None,
) -> list[Model]:
    """The models that references name, as ``load`` gives each; reference models (``pixels:8``,
    ``pca:64``, ``mean``) see what the first of the others sees.

    Raises:
        ModelError: as ``load`` raises it.
    """
    from latentmap.encoders.references import REFERENCES, parse_reference

    given = [parse_reference(reference) for reference in references]
    models = {
        number: _load(one, size) for number, one in enumerate(given) if one.scheme not in REFERENCES
    }
    # A file of codes sees no images.
    view = next((model.view for model in models.values() if model.stored is None), None)
    for number, one in enumerate(given):
        if one.scheme in REFERENCES:
            models[number] = _load(replace(one, view=view), size if view is None else None)
    return [models[number].to(device) for number in range(len(given))]


def _load(given: Given, size: tuple[int, int] | None) -> Model:
    """The model of one reference; ``size`` is for one that takes any and says none itself."""
    from latentmap.codes.code_readers import is_code_file
    from latentmap.encoders.code_files import load_code_file
    from latentmap.encoders.references import load_given

    if given.scheme is None and is_code_file(given.name):
        model: Model = load_code_file(given.name, given.take_options("codes", "ids"))
    elif given.scheme is not None:
        model = load_given(replace(given, size=given.size or size))
    else:
        given.take_options()
        model = _read(find(given.name))
    wanted = given.size or (size if model.any_size else None)
    model = model if wanted is None else model.resized(*wanted)
    if given.alias is not None:
        model.name = given.alias
        model.space = replace(model.space, model=given.alias)
    return model


def _read(path: Path) -> Model:
    """The model that a native file holds; its name is that of the file."""
    from latentmap.encoders.building import check_config
    from latentmap.encoders.native import read_model
    from latentmap.files import reading

    read = read_model(path)
    header, weights = read.header, read.weights
    family, config, frame = header.family, header.config, header.frame
    with reading(path, ModelError, "get it again"):
        check_config(config, len(weights))
        model = build(family, config, name=path.stem, frame=frame, weights=weights)
    if model.fingerprint != header.fingerprint:
        raise ModelError(
            f"the weights in {path} are not those that were saved: the file is damaged, get it "
            "again"
        )
    model.boxes, model.seen, model.prior = header.boxes, read.seen, read.prior
    return model
