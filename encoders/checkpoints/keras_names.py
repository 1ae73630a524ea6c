"""Names of Keras's arrays: one form, ``conv2d_3/kernel:0``, for all of its ways to save a model.

Weights in HDF5 have it. Keras 3 numbers the layers of a kind in every nested model anew, and a
layer's arrays; TensorFlow's checkpoints number all layers of a nested model in one row. All three
orders agree for layers that were made one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from latentmap.encoders.checkpoints.tensorflow_bundle import Variable
from latentmap.encoders.checkpoints.values import TensorView

Layers = dict[str, dict[str, TensorView]]

_KINDS = "conv2d|conv2d_transpose|dense|batch_normalization"
# The scopes before the layer depend on the version of Keras, the layer's number on how many were
# made before in the same session; Keras 3 leaves the ":0" out.
NAME = re.compile(rf"(?:.*/)?({_KINDS})(?:_([0-9]{{1,9}}))?/(\w+)(?::0)?")

_KERAS3 = re.compile(rf"({_KINDS})(?:_[0-9]{{1,9}})?")
# Groups of Keras 3 that are no layers, and what it keeps beside the layers.
_GROUPS = frozenset({"layers", "_layer_checkpoint_dependencies", "vars"})
_BESIDE = re.compile(r"(?:optimizer|metrics|compile_metrics|_?metrics\w*)/|(?:.*/)?seed_generator")
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_OTHERS = ("kernel", "bias")

_ARRAYS = frozenset((*_NORM, *_OTHERS))
_POSITION = re.compile(r"(?:(.*)/)?layer_with_weights-([0-9]{1,6})/(\w+)")


def is_beside_layers(name: str) -> bool:
    """Whether an array of Keras 3 belongs to what was saved beside the layers: the optimizer,
    metrics, seeds.
    """
    return _BESIDE.match(name) is not None


def name_keras3(name: str) -> tuple[str, str]:
    """The nested model of an array of Keras 3, and the array's name in the common form; as it is
    where the layer is of another kind.
    """
    *models, layer, number = (part for part in name.split("/") if part not in _GROUPS)
    match = _KERAS3.fullmatch(layer)
    if match is not None and number.isdecimal():
        arrays = _NORM if match[1] == "batch_normalization" else _OTHERS
        if int(number) < len(arrays):
            number = f"{arrays[int(number)]}:0"
    return ".".join(models) or layer, f"{layer}/{number}"


def name_variables(variables: Mapping[str, Variable]) -> Layers:
    """The arrays of a TensorFlow checkpoint by nested model, in the common form; what belongs to
    no layer, such as the optimizer's, is left out.
    """
    models: dict[str, dict[int, dict[str, Variable]]] = {}
    for name, variable in variables.items():
        match = _POSITION.fullmatch(name)
        if match is not None and match[3] in _ARRAYS:
            layers = models.setdefault(match[1] or "model", {})
            layers.setdefault(int(match[2]), {})[match[3]] = variable
    return {model: _name_layers(layers) for model, layers in models.items()}


def _name_layers(layers: Mapping[int, Mapping[str, Variable]]) -> dict[str, TensorView]:
    """The arrays of one model by the names that Keras gave them, where it did, or else by the
    places of their layers.
    """
    ordered = [layers[place] for place in sorted(layers)]
    variables = [variable for arrays in ordered for variable in arrays.values()]
    own = {f"{variable.full_name}:0": variable.view for variable in variables}
    if len(own) == len(variables) and all(map(NAME.fullmatch, own)):
        return own
    kinds = [_kind(arrays) for arrays in ordered]
    named: dict[str, TensorView] = {}
    for place, (kind, arrays) in enumerate(zip(kinds, ordered, strict=True)):
        if _is_transposed(kinds, place):
            kind = "conv2d_transpose"
        named |= {f"{kind}_{place}/{array}:0": item.view for array, item in arrays.items()}
    return named


def _kind(arrays: Mapping[str, Variable]) -> str:
    if "kernel" not in arrays:
        return "batch_normalization"
    return "conv2d" if len(arrays["kernel"].view.shape) == 4 else "dense"


def _is_transposed(kinds: list[str], place: int) -> bool:
    """Whether the layer at a place doubles the image: in a decoder, which begins with a dense
    layer, those are the convolutions that stand right before a block.
    """
    return (
        kinds[0] == "dense"
        and kinds[place] == "conv2d"
        and kinds[place - 1] != "batch_normalization"
        and kinds[place + 1 : place + 2] == ["batch_normalization"]
    )
