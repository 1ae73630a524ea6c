"""Writes the pickles of NVIDIA's PyTorch repositories: networks as persistence objects.

The classes and functions that the pickles name are not there; stand-ins take their places while
the file is written.
"""

import contextlib
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.encoders.foreign_writers import FIR, standing_in

SOURCE = "raise SystemExit('this text must not run')\n"
_BUFFERS = (
    "w_avg",
    "noise_const",
    "resample_filter",
    "magnitude_ema",
    "up_filter",
    "down_filter",
    "freqs",
    "phases",
    "transform",
)


class EasyDict(dict[str, Any]):
    """Stands for the repositories' dictionary."""


def _reconstruct_persistent_obj(meta):
    raise AssertionError("only its name is written")


def scalar(dtype, data):
    """Stands for numpy's function of this name, under the module that a version has it in."""
    raise AssertionError("only its name is written")


class Module:
    """A module with the attributes that torch and the repositories give it."""

    def __init__(self, tensors, name, attributes, path="", **own):
        parts = OrderedDict()
        for tensor in tensors:
            parts.setdefault(tensor.partition(".")[0], None)
        values = {part: tensors[part] for part in parts if part in tensors}
        self.state = {
            "training": False,
            "_parameters": OrderedDict(
                (part, torch.nn.Parameter(value, requires_grad=False))
                for part, value in values.items()
                if part not in _BUFFERS
            ),
            "_buffers": OrderedDict(
                (part, value) for part, value in values.items() if part in _BUFFERS
            ),
            "_non_persistent_buffers_set": set(),
            "_forward_hooks": OrderedDict(),
            "_modules": OrderedDict(
                (
                    part,
                    Module(
                        {
                            tensor.partition(".")[2]: value
                            for tensor, value in tensors.items()
                            if tensor.startswith(f"{part}.")
                        },
                        f"{part.capitalize()}Layer",
                        attributes,
                        f"{path}{part}.",
                    ),
                )
                for part in parts
                if part not in values
            ),
            **attributes(path),
            **own,
        }
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": name,
            "state": self.state,
        }

    def __reduce__(self):
        return _reconstruct_persistent_obj, (EasyDict(self.meta),)


def generator(config, weights, *, activation="lrelu", name="Generator"):
    """The generator as a persistence object."""
    tensors = dict(weights)
    for tensor in weights:
        layer, _, part = tensor.rpartition(".")
        if part == "noise_const":
            tensors[f"{layer}.resample_filter"] = FIR
            tensors[f"{layer.rpartition('.')[0]}.resample_filter"] = FIR

    def attributes(path):
        layer = path.rstrip(".").rpartition(".")[2]
        if layer.startswith("fc"):
            gain = np.float64(config["mapping_multiplier"] / 3)
            multiplier = config["mapping_multiplier"]
            return {"activation": activation, "weight_gain": gain, "bias_gain": multiplier}
        if layer in ("conv0", "conv1"):
            clamp = config["conv_clamp"]
            return {"activation": activation, "conv_clamp": clamp, "act_gain": np.float64(2**0.5)}
        if layer == "torgb":
            return {"conv_clamp": config["conv_clamp"], "weight_gain": np.float64(0.5)}
        if layer == "skip":
            return {"activation": "linear", "conv_clamp": None}
        return {}

    arguments = EasyDict(
        z_dim=config["z_dim"],
        w_dim=config["latent_dim"],
        c_dim=config["c_dim"],
        mapping_kwargs=EasyDict(num_layers=config["mapping_layers"]),
        synthesis_kwargs=EasyDict(channel_base=16384, conv_clamp=config["conv_clamp"]),
    )
    return Module(tensors, name, attributes, _init_args=(), _init_kwargs=arguments)


def signal_generator(config, weights, **arguments):
    """A StyleGAN3 generator as a persistence object; ``arguments`` are more of its own."""

    def attributes(path):
        layer = path.rstrip(".").rpartition(".")[2]
        if layer.startswith("fc"):
            return {"activation": "lrelu", "bias_gain": config["mapping_multiplier"]}
        if layer.startswith("L"):
            size = int(layer.split("_")[1])
            return {"conv_clamp": config["conv_clamp"], "out_size": np.array([size, size])}
        return {"activation": "linear"} if layer == "affine" else {}

    arguments = EasyDict(
        z_dim=config["z_dim"],
        w_dim=config["latent_dim"],
        mapping_kwargs=EasyDict(num_layers=config["mapping_layers"]),
        conv_kernel=config["kernel"],
        use_radial_filters=config["radial"],
        **arguments,
    )
    return Module(weights, "Generator", attributes, _init_args=(), _init_kwargs=arguments)


def other_network(name, *tensors):
    """A network that is no generator of ours, with tensors of these names."""
    return Module({tensor: torch.ones(2, 2) for tensor in tensors}, name, lambda path: {})


def discriminator():
    """The file's discriminator, in short."""
    return other_network("Discriminator", "b4.out.weight", "b4.fc.weight")


class _Pickler(pickle.Pickler):
    """Writes numpy's scalars with the module name of numpy 1 or of numpy 2, whichever is there."""

    def reducer_override(self, value):
        if isinstance(value, np.generic):
            return scalar, (value.dtype, value.tobytes())
        return NotImplemented


@contextlib.contextmanager
def _named(prefix="", numpy_core="numpy.core") -> Iterator[None]:
    with (
        standing_in(_reconstruct_persistent_obj, f"{prefix}torch_utils.persistence"),
        standing_in(EasyDict, f"{prefix}dnnlib.util"),
        standing_in(scalar, f"{numpy_core}.multiarray"),
    ):
        yield


def write(path: Path, contents, *, protocol=4, **modules):
    """Pickles ``contents``.

    ``modules``: ``numpy_core`` is the package that numpy's functions are in, ``prefix`` where a
    copy of the repository keeps its modules.
    """
    with _named(**modules), path.open("wb") as file:
        _Pickler(file, protocol=protocol).dump(contents)


def save(path: Path, network):
    """Writes a network with ``torch.save``, as programs do that change it."""
    with _named():
        torch.save(network, path)
