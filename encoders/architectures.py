"""Of which kind the networks of a VAE are, for figures that compare kinds."""

from __future__ import annotations

from latentmap.model import Model

# The word of a VAE's configuration -> the kind; a Split-VAE is residual whatever its configuration.
_OF_VAE = {"dense": "dense", "conv": "convolutional"}
OTHER = "other"


def architecture_of(model: Model) -> str:
    """``dense``, ``convolutional`` or ``residual`` (Split-VAE); of any other family ``other``."""
    if model.family == "split-vae":
        return "residual"
    if model.family != "vae":
        return OTHER
    return _OF_VAE.get(str(model.config.get("architecture")), OTHER)
