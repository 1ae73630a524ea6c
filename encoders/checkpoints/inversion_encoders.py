"""The encoders that stand beside a generator in files of pSp, e4e, ReStyle and HyperStyle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentmap.encoders.checkpoints.conversion import UNKNOWN
from latentmap.encoders.checkpoints.values import TensorView

# Options that only e4e's training has; its encoder has the same tensors as pSp's.
_E4E_OPTIONS = ("delta_norm_lambda", "progressive_steps", "w_discriminator_lambda")


def encoder_kind(tensors: Mapping[str, TensorView], options: Mapping[Any, Any]) -> str:
    """What kind of network stands beside the generator, and whether it gives one code (W) or one
    for every layer (W+); ``options`` are the training's.
    """
    first = tensors.get("input_layer.0.weight") or tensors.get("conv1.weight")
    if first is None or len(first.shape) != 4:
        return UNKNOWN
    return f"{_method(first.shape[1], options)} encoder into {_space(tensors, options)}"


def _method(inputs: int, options: Mapping[Any, Any]) -> str:
    # ReStyle's encoders see the image of the last step beside the image that is to be reached.
    if inputs == 6:
        return "ReStyle"
    kind = options.get("encoder_type")
    is_e4e = kind == "Encoder4Editing" or any(name in options for name in _E4E_OPTIONS)
    return "e4e" if is_e4e else "pSp"


def _space(tensors: Mapping[str, TensorView], options: Mapping[Any, Any]) -> str:
    # A head for every layer gives W+; a single linear layer gives W, or all codes in one vector.
    linear = tensors.get("linear.weight")
    into_one = linear is not None and len(set(linear.shape)) == 1
    has_heads = any(name.startswith("styles.") for name in tensors)
    return "W" if options.get("learn_in_w") is True or (into_one and not has_heads) else "W+"
