"""A model that is no file, in words: what ``latentmap models show`` and ``check`` say of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from latentmap.cli.output import print_json, say

if TYPE_CHECKING:
    from latentmap.model import Model


def model_to_json(reference: str, model: Model) -> dict[str, Any]:
    """All that a model says of itself, as JSON."""
    return {
        "reference": reference,
        "name": model.name,
        "family": model.family,
        "space": model.space.kind,
        "latent_dim": model.latent_dim,
        "latent_shape": list(model.latent_shape),
        "image_shape": list(model.image_shape),
        "any_size": model.any_size,
        "frame": model.frame.to_json(),
        "can_encode": model.can_encode,
        "can_decode": model.can_decode,
        "has_posterior": model.can_encode and model.has_posterior,
        "fingerprint": model.fingerprint,
        "config": model.config,
    }


def show_loaded(reference: str, model: Model, *, as_json: bool) -> None:
    """Prints what a model says of itself."""
    if as_json:
        print_json(model_to_json(reference, model))
        return
    say(f"{reference}: {model.family}")
    say_facts(model)
    say(f"  fingerprint  {model.fingerprint}")
    say("  network")
    for key, value in model.config.items():
        say(f"    {key:<18} {json.dumps(value)}")


def say_facts(model: Model) -> None:
    """Prints the space, the images, and what the model can do."""
    channels, height, width = model.image_shape
    colour = "grey" if channels == 1 else "colour"
    shape = "x".join(map(str, model.latent_shape))
    any_size = ", or of another size (--size)" if model.any_size else ""
    shape = f"{shape}: " if len(model.latent_shape) > 1 else ""
    say(f"  space        {model.space.kind}, {shape}{model.latent_dim} variables")
    if model.stored is not None:
        ids = "by id" if model.stored.ids is not None else "without ids"
        say(f"  does         stores the codes of {len(model.stored):,} images, {ids}")
        return
    say(f"  images       {height}x{width} {colour}{any_size}")
    say(f"  frame        {model.frame.name}, resized by {model.frame.resize}")
    done = {"encodes": model.can_encode, "decodes": model.can_decode}
    say(f"  does         {' and '.join(verb for verb, can in done.items() if can)}")
