"""Files of Keras weights as the published Split-VAE code saves them, written without Keras.

Layers are made in the order of that code, and numbered as Keras numbers them: per kind, from the
first in the session on.
"""

from collections import Counter
from itertools import pairwise

import h5py
import numpy as np

Models = dict[str, dict[str, np.ndarray]]


class _Session:
    """Makes layers with random arrays; ``arrays`` are those of the model that is being made."""

    def __init__(self, made_before, scope):
        kinds = ("conv2d", "conv2d_transpose", "dense", "batch_normalization")
        self.made = Counter(dict.fromkeys(kinds, made_before))
        self.scope = scope
        self.random = np.random.default_rng(0)
        self.arrays = {}

    def layer(self, kind, **shapes):
        number = f"_{self.made[kind]}" if self.made[kind] else ""
        self.made[kind] += 1
        for name, shape in shapes.items():
            if name in ("gamma", "moving_variance"):
                values = 0.5 + self.random.random(shape)
            else:
                values = self.random.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
            self.arrays[f"{self.scope}{kind}{number}/{name}:0"] = values.astype(np.float32)

    def conv(self, inputs, outputs):
        self.layer("conv2d", kernel=(3, 3, inputs, outputs), bias=(outputs,))

    def up(self, inputs, outputs):
        self.layer("conv2d_transpose", kernel=(3, 3, outputs, inputs), bias=(outputs,))

    def dense(self, inputs, outputs):
        self.layer("dense", kernel=(inputs, outputs), bias=(outputs,))

    def norm(self, width):
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        self.layer("batch_normalization", **dict.fromkeys(names, (width,)))

    def block(self, layer, inputs, outputs):
        self.norm(inputs)
        layer(inputs, outputs)
        self.norm(outputs)
        layer(outputs, outputs)
        layer(inputs, outputs)

    def finish(self):
        arrays, self.arrays = self.arrays, {}
        return arrays


def split_vae(
    encoder_widths,
    decoder_widths,
    *,
    channels=3,
    latent_dim=5,
    embedding=7,
    made_before=0,
    scope="",
) -> Models:
    """The arrays of a published Split-VAE by nested model, with random values.

    ``made_before`` is how many layers of every kind the session had made already.
    """
    session = _Session(made_before, scope)
    session.conv(channels, encoder_widths[0])
    for inputs, outputs in pairwise(encoder_widths):
        session.block(session.conv, inputs, inputs)
        session.conv(inputs, outputs)
    session.block(session.dense, encoder_widths[-1], embedding)
    encoder = session.finish()

    session.dense(embedding, latent_dim)
    session.dense(embedding, latent_dim)
    session.dense(latent_dim, embedding)
    latent = session.finish()

    session.dense(embedding, 16 * decoder_widths[0])
    for inputs, outputs in pairwise(decoder_widths):
        session.up(inputs, outputs)
        session.block(session.conv, outputs, outputs)
    session.conv(decoder_widths[-1], 2 * channels + 1)
    return {"model": encoder, "model_1": latent, "model_3": session.finish()}


def write_weights(path, models: Models):
    """Writes what ``save_weights`` of the whole model writes: layers without arrays stand in the
    file too.
    """
    layers = {"input_1": {}, **models, "tf.math.subtract": {}, "add_loss": {}}
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        file.attrs["backend"] = b"tensorflow"
        for name, arrays in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [array.encode() for array in arrays]
            for array, values in arrays.items():
                group.create_dataset(array, data=values)


def write_whole(path, models: Models, *, config=None, end=":0"):
    """Writes what ``save`` of the whole model writes into HDF5: an optimizer beside the weights."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = config
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [name.encode() for name in models]
        for name, arrays in models.items():
            for array, values in arrays.items():
                weights.create_dataset(f"{name}/{array.removesuffix(':0')}{end}", data=values)
        file.create_dataset("optimizer_weights/Adam/iter:0", data=np.int64(7))


ORDER = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")


def layers_of(arrays):
    """The arrays of each layer, by its kind, in the order in which the layers were made."""
    layers = {}
    for name, values in arrays.items():
        layer, _, array = name.removesuffix(":0").rpartition("/")
        kind = layer.rpartition("/")[2].rstrip("0123456789").rstrip("_")
        layers.setdefault(layer, (kind, {}))[1][array] = values
    return list(layers.values())


def write_keras3(path, models: Models, *, group="layers"):
    """Writes what ``save_weights`` of Keras 3 writes: layers are numbered within their model."""
    with h5py.File(path, "w") as file:
        for number, arrays in enumerate(models.values()):
            model = f"functional_{number}" if number else "functional"
            made: Counter[str] = Counter()
            for kind, layer in layers_of(arrays):
                name = f"{kind}_{made[kind]}" if made[kind] else kind
                made[kind] += 1
                ordered = [layer[array] for array in ORDER if array in layer]
                for place, values in enumerate(ordered):
                    file[f"{group}/{model}/layers/{name}/vars/{place}"] = values
        file["layers/functional/layers/sampling/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        file["optimizer/vars/0"] = np.int64(7)
