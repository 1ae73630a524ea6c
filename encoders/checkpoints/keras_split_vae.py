"""Split-VAEs as they were published: Keras's weights, made a model of ours.

The code at github.com/asperti/Split-VAE, and the same at asperti/We_love_latent_space, saves one
checkpoint of three nested models: the encoder from an image to an embedding, the latent layers from
that to a code and back, and the decoder from an embedding to an image. Weights do not say how
layers are connected. Keras numbers those of one kind as they are made, and the code makes them in
the order of ``PublishedSplitVAE``: in a block the shortcut comes last, and means come before
variances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentmap.encoders.checkpoints.conversion import Converted, Network, Recognised
from latentmap.encoders.checkpoints.keras_description import check_description
from latentmap.encoders.checkpoints.keras_hdf5 import KerasWeights, read_keras_weights
from latentmap.encoders.checkpoints.keras_names import NAME, name_variables
from latentmap.encoders.checkpoints.tensorflow_bundle import Bundle
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.nets.split_vae import PublishedSplitVAE
from latentmap.errors import CheckpointError

# A kind of layer -> its layers in the order of their numbers -> their arrays.
_Layers = dict[str, list[dict[str, TensorView]]]

_KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv2d",
    nn.ConvTranspose2d: "conv2d_transpose",
    nn.Linear: "dense",
    nn.BatchNorm1d: "batch_normalization",
    nn.BatchNorm2d: "batch_normalization",
}
_RANKS = {"conv2d": 4, "conv2d_transpose": 4, "dense": 2}

# The nested models, known by the kinds of their layers, and the parts of our network that they are.
_MODELS = {
    frozenset({"batch_normalization", "conv2d", "dense"}): "encoder",
    frozenset({"dense"}): "latent",
    frozenset({"batch_normalization", "conv2d", "conv2d_transpose", "dense"}): "decoder",
}
_PARTS = {
    "encoder": ("encoder", "embed"),
    "latent": ("mean", "log_variance", "unembed"),
    "decoder": ("expand", "decoder"),
}

_ARRAYS = {"bias": "bias", "weight": "kernel"}
_NORM_ARRAYS = {
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
    "weight": "gamma",
}


def read_keras_split_vae(path: Path) -> Recognised | None:
    """The networks of a file of Keras weights, of which a published Split-VAE can be converted;
    None for any other kind of file.

    Raises:
        CheckpointError: it is such a file, but is cut off or damaged, or holds anything but plain
            float32 arrays.
    """
    weights = read_keras_weights(path)
    return None if weights is None else recognise_keras(path, weights)


def read_bundled_split_vae(path: Path, bundle: Bundle) -> Recognised | None:
    """The networks of a TensorFlow checkpoint of a Keras model; None where there are none in it."""
    layers = name_variables(bundle.variables)
    if not layers:
        return None
    return recognise_keras(path, KerasWeights("TensorFlow checkpoint of a Keras model", layers))


def recognise_keras(path: Path, weights: KerasWeights) -> Recognised:
    """The networks of a Keras model, of which a published Split-VAE can be converted."""
    networks = []
    models: list[tuple[str, _Layers]] = []
    for name, arrays in weights.layers.items():
        sorted_layers = _sort(arrays)
        model = _MODELS.get(frozenset(sorted_layers))
        networks.append(Network(name, f"Split-VAE {model}" if model else "Keras layer", arrays))
        if model:
            models.append((model, sorted_layers))
    complete = sorted(model for model, _ in models) == sorted(_PARTS) and len(networks) == 3

    def convert() -> Converted:
        converted = _convert(path, dict(models) if complete else None)
        if weights.description is None:
            return converted
        check_description(weights.description)
        # The first note says what the file does not tell; here it does.
        return replace(converted, notes=converted.notes[1:])

    return Recognised(weights.layout, tuple(networks), convert)


def _sort(arrays: Mapping[str, TensorView]) -> _Layers:
    """The arrays by kind and layer; none, if one of them is of no kind that a Split-VAE has."""
    layers: dict[tuple[str, int], dict[str, TensorView]] = {}
    for name, view in arrays.items():
        match = NAME.fullmatch(name)
        if match is None:
            return {}
        kind, number, array = match.groups()
        layers.setdefault((kind, int(number or 0)), {})[array] = view
    kinds: _Layers = {}
    for kind, number in sorted(layers):
        kinds.setdefault(kind, []).append(layers[kind, number])
    return kinds


def _convert(path: Path, models: Mapping[str, _Layers] | None) -> Converted:
    if models is None:
        raise _unfit(path, "it does not hold an encoder, latent layers and a decoder, nested")
    config = _config(path, models)
    try:
        with torch.device("meta"):
            network = PublishedSplitVAE(
                tuple(config["image_shape"]),
                config["latent_dim"],
                config["embedding"],
                encoder_widths=config["encoder_widths"],
                decoder_widths=config["decoder_widths"],
            )
    # RuntimeError: so wide that the number of weights overflows.
    except (ValueError, RuntimeError) as error:
        raise _unfit(path, str(error)) from None
    weights: dict[str, Tensor] = {}
    for model, layers in models.items():
        modules = _modules(network, _PARTS[model])
        for kind, named in modules.items():
            if len(layers[kind]) != len(named):
                raise _unfit(
                    path, f"its {model} has {len(layers[kind])} {kind} layers, not {len(named)}"
                )
            for (name, module), arrays in zip(named, layers[kind], strict=True):
                weights |= _layer_weights(path, name, module, arrays)
    for name in ("expand.weight", "expand.bias"):
        weights[name] = _channels_first(weights[name], network.top)
    notes = ["swish and an epsilon of 1e-5 are those of the published code: the file has neither"]
    if config["image_shape"] == [3, 64, 64]:
        notes.append(
            "the published weights of this size saw CelebA with --frame celeba and --resize "
            "pillow-bilinear: import them so"
        )
    return Converted("split-vae", config, weights, tuple(notes))


def _config(path: Path, models: Mapping[str, _Layers]) -> dict[str, Any]:
    """The configuration of the network whose kernels have these shapes."""
    kernels = {
        (model, kind): _kernels(path, model, kind, layers[kind])
        for model, layers in models.items()
        for kind in layers
        if kind in _RANKS
    }
    ups = kernels["decoder", "conv2d_transpose"]
    # Between two stride-2 convolutions stand the three of a residual block.
    downs = kernels["encoder", "conv2d"][::4]
    side = 4 * 2 ** len(ups)
    embedding, latent_dim = kernels["latent", "dense"][0]
    return {
        "architecture": "published",
        "image_shape": [downs[0][2], side, side],
        "latent_dim": latent_dim,
        "embedding": embedding,
        "encoder_widths": [shape[3] for shape in downs],
        "decoder_widths": [ups[0][3], *(shape[2] for shape in ups)],
    }


def _kernels(
    path: Path, model: str, kind: str, layers: Sequence[Mapping[str, TensorView]]
) -> list[tuple[int, ...]]:
    shapes = [layer["kernel"].shape for layer in layers if "kernel" in layer]
    if len(shapes) != len(layers) or any(len(shape) != _RANKS[kind] for shape in shapes):
        raise _unfit(path, f"a {kind} layer of its {model} has no kernel of {_RANKS[kind]} axes")
    return shapes


def _modules(network: nn.Module, parts: Sequence[str]) -> dict[str, list[tuple[str, nn.Module]]]:
    """The modules with weights, by kind, in the order in which the published code makes them."""
    modules: dict[str, list[tuple[str, nn.Module]]] = {}
    for part in parts:
        for name, module in network.get_submodule(part).named_modules(prefix=part):
            for layer, kind in _KINDS.items():
                if isinstance(module, layer):
                    modules.setdefault(kind, []).append((name, module))
    return modules


def _layer_weights(
    path: Path, name: str, module: nn.Module, arrays: Mapping[str, TensorView]
) -> dict[str, Tensor]:
    """The weights of one module; a kernel's axes are (height, width, inputs, outputs) in the file,
    the last two exchanged in a transposed convolution, and (inputs, outputs) in a dense layer.
    """
    normalises = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    names = _NORM_ARRAYS if normalises else _ARRAYS
    if arrays.keys() != set(names.values()):
        came, wanted = ", ".join(sorted(arrays)), ", ".join(sorted(names.values()))
        raise _unfit(path, f"for {name} it has {came}, not {wanted}")
    weights: dict[str, Tensor] = {}
    for ours, theirs in names.items():
        shape = tuple(getattr(module, ours).shape)
        # The axes of a kernel, ours reversed, but for height and width, which keep their order.
        expected = (*shape[2:], *shape[1::-1])
        if arrays[theirs].shape != expected:
            came = str(arrays[theirs].shape)
            raise _unfit(path, f"{theirs} for {name} has shape {came}, not {expected}")
        tensor = arrays[theirs].load()
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[tensor.ndim]
        weights[f"{name}.{ours}"] = tensor.permute(axes).contiguous()
    if normalises:
        # The file does not count batches; nothing reads the count where the momentum is fixed.
        weights[f"{name}.num_batches_tracked"] = torch.tensor(0)
    return weights


def _channels_first(weight: Tensor, channels: int) -> Tensor:
    """The dense layer before the decoder, whose outputs the file has as (4, 4, channels)."""
    return torch.movedim(weight.unflatten(0, (4, 4, channels)), 2, 0).flatten(0, 2).contiguous()


def _unfit(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} holds Keras weights, but not of a Split-VAE as it was published: {reason}; give a "
        "file that the published code saved"
    )
