"""Published Split-VAE weights, against what Keras computes from them, written out in numpy."""

import re

import h5py
import numpy as np
import pytest
import torch
from scipy.special import expit

from latentmap.encoders import build, load
from latentmap.encoders.checkpoints.keras_split_vae import read_keras_split_vae
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.split_vae import SplitVAE
from latentmap.errors import CheckpointError, ModelError
from latentmap.frames import Frame
from latentmap.model.digests import model_digest
from latentmap.model.testing import check_model
from tests.encoders.keras_writer import split_vae, write_weights

# 16 pixels; the second as for the published sizes: an encoder with fewer scales than the decoder
# has, 32 pixels, and a decoder whose widths stop growing.
GREY = {"encoder_widths": (2, 4, 8), "decoder_widths": (8, 4, 2), "channels": 1}
COLOUR = {"encoder_widths": (3, 6), "decoder_widths": (12, 12, 6, 3)}


class Keras:
    """A nested model's layers, taken in turn by kind, on float64 images ``(n, h, w, c)``."""

    def __init__(self, arrays):
        self.layers = {}
        for name, values in arrays.items():
            layer, array = name.removesuffix(":0").split("/")[-2:]
            self.layers.setdefault(layer, {})[array] = values.astype(np.float64)

    def take(self, kind):
        number = {
            name: int(name[len(kind) + 1 :] or 0)
            for name in self.layers
            if re.fullmatch(rf"{kind}(_\d+)?", name)
        }
        return self.layers.pop(min(number, key=number.get))

    def conv(self, x, stride=1):
        layer = self.take("conv2d")
        (above, below), (left, right) = (same_padding(side, stride) for side in x.shape[1:3])
        x = np.pad(x, ((0, 0), (above, below), (left, right), (0, 0)))
        rows, columns = ((side - 3) // stride + 1 for side in x.shape[1:3])
        result = np.zeros((len(x), rows, columns, layer["kernel"].shape[3])) + layer["bias"]
        for i in range(rows):
            for j in range(columns):
                window = x[:, i * stride : i * stride + 3, j * stride : j * stride + 3]
                result[:, i, j] += np.einsum("nhwi,hwio->no", window, layer["kernel"])
        return result

    def up(self, x):
        # The gradient of a convolution with stride 2: what a window took is given back to it.
        layer = self.take("conv2d_transpose")
        (above, below), (left, right) = (same_padding(2 * side, 2) for side in x.shape[1:3])
        _, rows, columns, _ = x.shape
        whole = (len(x), 2 * rows + above + below, 2 * columns + left + right, len(layer["bias"]))
        result = np.zeros(whole)
        for i in range(rows):
            for j in range(columns):
                window = result[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
                window += np.einsum("ni,hwoi->nhwo", x[:, i, j], layer["kernel"])
        inside = result[:, above : above + 2 * rows, left : left + 2 * columns]
        return inside + layer["bias"]

    def dense(self, x):
        layer = self.take("dense")
        return x @ layer["kernel"] + layer["bias"]

    def norm(self, x):
        layer = self.take("batch_normalization")
        scale = layer["gamma"] / np.sqrt(layer["moving_variance"] + 1e-5)
        return (x - layer["moving_mean"]) * scale + layer["beta"]

    def block(self, x, layer):
        hidden = x
        for _ in range(2):
            hidden = self.norm(hidden)
            hidden = layer(hidden * expit(hidden))
        return hidden + layer(x)


def same_padding(side, stride):
    total = max((-(-side // stride) - 1) * stride + 3 - side, 0)
    return total // 2, total - total // 2


def keras_encode(models, images):
    """Means and log-variances; images ``(n, c, h, w)``."""
    model = Keras(models["model"])
    hidden = model.conv(images.transpose(0, 2, 3, 1), stride=2)
    # Five are those of the dense block.
    while len(model.layers) > 5:
        hidden = model.conv(model.block(hidden, model.conv), stride=2)
    embedding = model.block(hidden.mean(axis=(1, 2)), model.dense)
    latent = Keras(models["model_1"])
    return latent.dense(embedding), latent.dense(embedding)


def keras_decode(models, codes):
    """Images ``(n, c, h, w)``."""
    latent, model = Keras(models["model_1"]), Keras(models["model_3"])
    latent.take("dense"), latent.take("dense")
    hidden = model.dense(latent.dense(codes)).reshape(len(codes), 4, 4, -1)
    while len(model.layers) > 1:
        hidden = model.block(model.up(hidden), model.conv)
    planes = expit(model.conv(hidden)).transpose(0, 3, 1, 2)
    channels = planes.shape[1] // 2
    mask, first, second = np.split(planes, (1, 1 + channels), axis=1)
    return mask * first + (1 - mask) * second


def write(folder, models):
    path = folder / "weights.hdf5"
    write_weights(path, models)
    return path


def convert(path, **attributes):
    converted = read_keras_split_vae(path).convert()
    return build(converted.family, converted.config, weights=converted.weights, **attributes)


@pytest.mark.parametrize("size", [GREY, COLOUR])
@pytest.mark.parametrize("session", [{}, {"made_before": 7, "scope": "Encoder/ScaleBlock/"}])
def test_an_imported_split_vae_computes_what_keras_does(tmp_path, size, session):
    models = split_vae(**size, **session)
    model = convert(write(tmp_path, models))
    random = np.random.default_rng(1)
    images = random.random((2, *model.image_shape))
    posterior = model.posterior(torch.from_numpy(images).float())
    mean, log_variance = keras_encode(models, images)
    np.testing.assert_allclose(posterior.mean, mean, atol=1e-5)
    np.testing.assert_allclose(posterior.variance.log(), log_variance, atol=1e-5)
    codes = random.normal(size=(2, model.latent_dim))
    decoded = model.decode(torch.from_numpy(codes))
    np.testing.assert_allclose(decoded, keras_decode(models, codes), atol=1e-5)
    assert decoded.std() > 0.02


def test_an_imported_split_vae_keeps_the_contract_and_its_file_gives_it_again(tmp_path):
    model = convert(write(tmp_path, split_vae(**COLOUR)), frame=Frame("celeba"))
    check_model(model)
    path = tmp_path / "svae.safetensors"
    save_model(model, path, training={})
    assert load(path).fingerprint == model.fingerprint


def test_the_configuration_comes_from_the_shapes(tmp_path):
    converted = read_keras_split_vae(write(tmp_path, split_vae(**COLOUR))).convert()
    assert (converted.family, converted.config) == (
        "split-vae",
        {
            "architecture": "published",
            "image_shape": [3, 32, 32],
            "latent_dim": 5,
            "embedding": 7,
            "encoder_widths": [3, 6],
            "decoder_widths": [12, 12, 6, 3],
        },
    )
    assert [note.split(":")[0] for note in converted.notes] == [
        "swish and an epsilon of 1e-5 are those of the published code"
    ]


def test_the_frame_of_the_published_faces_is_told(tmp_path):
    models = split_vae((2, 2), (2, 2, 2, 2, 2))
    notes = read_keras_split_vae(write(tmp_path, models)).convert().notes
    assert "--frame celeba and --resize pillow-bilinear" in notes[1]


def test_the_networks_are_told_apart(tmp_path):
    models = split_vae(**GREY)
    recognised = read_keras_split_vae(write(tmp_path, models))
    assert recognised.format == "Keras HDF5 weights"
    assert [(network.name, network.kind) for network in recognised.networks] == [
        ("model", "Split-VAE encoder"),
        ("model_1", "Split-VAE latent"),
        ("model_3", "Split-VAE decoder"),
    ]
    for network in recognised.networks:
        loaded = {name: view.load().numpy() for name, view in network.tensors.items()}
        np.testing.assert_equal(loaded, models[network.name])


def test_files_without_keras_weights_are_not_recognised(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"PK")
    assert read_keras_split_vae(path) is None
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    assert read_keras_split_vae(path) is None


def test_weights_of_another_architecture_are_shown_but_not_converted(tmp_path):
    kernel = {"dense/kernel:0": np.zeros((2, 3), np.float32)}
    for models in (
        {"dense": kernel, "gru": {"gru/gru_cell/kernel:0": np.zeros(2, np.float32)}},
        {**split_vae(**GREY), "model_4": kernel},
        {**split_vae(**GREY), "gru": {"gru/gru_cell/kernel:0": np.zeros(2, np.float32)}},
    ):
        recognised = read_keras_split_vae(write(tmp_path, models))
        kinds = {network.name: network.kind for network in recognised.networks}
        assert kinds.keys() == models.keys()
        assert kinds.get("gru", "Keras layer") == "Keras layer"
        with pytest.raises(
            CheckpointError,
            match="but not of a Split-VAE as it was published: it does not hold an encoder, latent "
            "layers and a decoder, nested; give a file that the published code saved",
        ):
            recognised.convert()


def drop(name):
    def change(models):
        for arrays in models.values():
            arrays.pop(name, None)

    return change


def replace(name, shape):
    def change(models):
        for arrays in models.values():
            if name in arrays:
                arrays[name] = np.zeros(shape, np.float32)

    return change


def add(model, name):
    def change(models):
        models[model][name] = np.zeros(2, np.float32)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("conv2d_4/kernel:0"), "a conv2d layer of its encoder has no kernel of 4 axes"),
        (drop("dense_4/kernel:0"), "a dense layer of its latent has no kernel of 2 axes"),
        (replace("dense_6/kernel:0", (8,)), "a dense layer of its decoder has no kernel of 2"),
        (replace("conv2d_1/kernel:0", (2, 2)), "a conv2d layer of its encoder has no kernel of 4"),
        (drop("conv2d_4/bias:0"), r"for encoder\.2 it has kernel, not bias, kernel"),
        (
            drop("batch_normalization_1/beta:0"),
            r"encoder\.1\.layers\.3 it has gamma, moving_mean, moving_variance, not beta, gamma",
        ),
        (
            add("model", "conv2d/scale:0"),
            r"for encoder\.0 it has bias, kernel, scale, not bias, kernel",
        ),
        (
            replace("conv2d_transpose_1/kernel:0", (3, 3, 2, 5)),
            r"kernel for decoder\.2 has shape \(3, 3, 2, 5\), not \(3, 3, 2, 4\)",
        ),
        (
            replace("conv2d/kernel:0", (5, 5, 1, 2)),
            r"kernel for encoder\.0 has shape \(5, 5, 1, 2\), not \(3, 3, 1, 2\)",
        ),
        (
            replace("batch_normalization/gamma:0", (1, 2)),
            r"gamma for encoder\.1\.layers\.0 has shape \(1, 2\), not \(2,\)",
        ),
        (
            replace("dense_6/bias:0", (127,)),
            r"bias for expand has shape \(127,\), not \(128,\)",
        ),
        (
            lambda models: [drop(f"conv2d_9/{name}:0")(models) for name in ("kernel", "bias")],
            "its decoder has 6 conv2d layers, not 7",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, change, message):
    models = split_vae(**GREY)
    change(models)
    with pytest.raises(CheckpointError, match=f"as it was published: .*{message}"):
        read_keras_split_vae(write(tmp_path, models)).convert()


def test_an_encoder_with_more_scales_than_the_image_has_is_refused(tmp_path):
    path = write(tmp_path, split_vae((2, 2, 2, 2), (4, 2)))
    with pytest.raises(CheckpointError, match="at most 3 encoder widths: not 8x8 and 4"):
        read_keras_split_vae(path).convert()


def write_with(folder, change):
    """A file that is right but for what ``change`` does to the open file."""
    path = write(folder, split_vae(**GREY))
    with h5py.File(path, "a") as file:
        change(file)
    return path


BIAS = "model/conv2d/bias:0"


def external_link(file):
    write_weights("other.hdf5", split_vae(**GREY))
    del file["model"]
    file["model"] = h5py.ExternalLink("other.hdf5", "model")


def soft_link(file):
    del file[BIAS]
    file[BIAS] = h5py.SoftLink("/model/conv2d_1/bias:0")


def recreate(**options):
    def change(file):
        del file[BIAS]
        file.create_dataset(BIAS, **{"shape": (2,), "dtype": "<f4", **options})

    return change


def virtual(file):
    del file[BIAS]
    layout = h5py.VirtualLayout((2,), "<f4")
    layout[:] = h5py.VirtualSource("other.hdf5", "x", (2,))
    file.create_virtual_dataset(BIAS, layout)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (external_link, "'model' is an external link"),
        (soft_link, f"{BIAS!r} is a soft link"),
        (virtual, f"{BIAS!r} is a dataset whose values other files hold"),
        (
            recreate(external=[("other.raw", 0, h5py.h5f.UNLIMITED)]),
            f"{BIAS!r} is a dataset whose values other files hold",
        ),
        (
            recreate(shape=(2**44,), chunks=(1024,)),
            f"{BIAS!r} is said to have {2**46} bytes, of which the file holds 0 compressed",
        ),
        (
            recreate(shape=(2**44,)),
            f"{BIAS!r} is said to have {2**46} bytes, of which the file holds 0",
        ),
        (recreate(shape=(0,)), f"{BIAS!r} is in chunks, compressed or empty"),
        (recreate(shape=None), f"{BIAS!r} is empty"),
        (
            recreate(data=[0.5, 0.5], compression="gzip"),
            f"{BIAS!r} is in chunks, compressed or empty",
        ),
        (recreate(data=[0.5, 0.5], dtype="<f8"), f"{BIAS!r} is of another type"),
        (recreate(data=[1, 2], dtype="<i4"), f"{BIAS!r} is of another type"),
    ],
)
def test_weights_that_are_not_plainly_in_the_file_are_refused(tmp_path, monkeypatch, change, what):
    monkeypatch.chdir(tmp_path)
    path = write_with(tmp_path, change)
    with pytest.raises(CheckpointError, match=rf"but {re.escape(what)}.*: save them again"):
        read_keras_split_vae(path)


def test_one_array_under_many_names_takes_no_more_memory_than_the_file(tmp_path):
    def change(file):
        for number in range(1000):
            file[f"model/dense_{number + 10}/kernel:0"] = file["model_3/dense_6/kernel:0"]

    path = write_with(tmp_path, change)
    with pytest.raises(CheckpointError, match=r"claims larger arrays than its .* bytes can hold"):
        read_keras_split_vae(path)


def test_groups_in_a_circle_are_refused(tmp_path):
    def change(file):
        file["model/circle"] = file["/"]

    with pytest.raises(CheckpointError, match="more groups and arrays than a file of weights has"):
        convert(write_with(tmp_path, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.create_group("/".join("abcdefghij")),
        lambda file: [file.create_group(f"model/{i}") for i in range(5001)],
        lambda file: file.create_group("x" * 600),
    ],
    ids=["deep", "many", "long"],
)
def test_more_groups_than_weights_have_are_refused(tmp_path, change):
    with pytest.raises(CheckpointError, match="more groups and arrays than a file of weights has"):
        convert(write_with(tmp_path, change))


@pytest.mark.parametrize("kept", [8, 100, 4000, -1])
def test_a_cut_off_file_is_one_clear_line(tmp_path, kept):
    path = write(tmp_path, split_vae(**GREY))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"^.* is no readable HDF5 file: .*\(.*\): get it"):
        read_keras_split_vae(path)


def test_a_name_that_is_no_text_is_one_clear_line(tmp_path):
    path = write_with(tmp_path, lambda file: file.create_group(b"model/\xff"))
    with pytest.raises(
        CheckpointError, match=r"is no readable HDF5 file: .*can't encode character '.udcff'"
    ):
        read_keras_split_vae(path)


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone.hdf5 cannot be read: No such file"):
        read_keras_split_vae(tmp_path / "gone.hdf5")


def test_a_file_that_shrinks_after_it_was_recognised_is_refused(tmp_path):
    path = write(tmp_path, split_vae(**GREY))
    recognised = read_keras_split_vae(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="it was written to since it was opened"):
        recognised.convert()


def test_split_vaes_from_before_keep_their_fingerprint():
    config = {"image_shape": [1, 28, 28], "latent_dim": 6, "width": 4, "embedding": 16}
    network = SplitVAE((1, 28, 28), 6, 4, 16)
    for number, tensor in enumerate(network.state_dict().values()):
        tensor.fill_(number)
    model = build("split-vae", config, weights=network.state_dict())
    assert model.fingerprint == model_digest("split-vae", config, Frame(), network)
    assert model.fingerprint.startswith("2d5a976a78b195ce")


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ModelError, match="architecture is published or left out, not flat"):
        build("split-vae", {"image_shape": [1, 8, 8], "latent_dim": 2, "architecture": "flat"})
