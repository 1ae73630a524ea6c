"""A published Split-VAE in each form in which Keras and TensorFlow save it: the same model."""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from latentmap.encoders.checkpoints.importing import import_checkpoint, inspect_checkpoint
from latentmap.errors import CheckpointError
from tests.encoders.bundle_writer import object_graph, write_bundle
from tests.encoders.keras_writer import (
    layers_of,
    split_vae,
    write_keras3,
    write_weights,
    write_whole,
)

WIDTHS = ((3, 6), (12, 12, 6, 3))
MODELS = split_vae(*WIDTHS)
# Keras numbers layers on from those of the same session.
LATER = split_vae(*WIDTHS, made_before=7)
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
CASES = Path(__file__).parents[2] / "../shared/cases"


def fingerprint(path):
    return import_checkpoint(path)[0].fingerprint


@pytest.fixture
def expected(tmp_path):
    path = tmp_path / "weights.hdf5"
    write_weights(path, MODELS)
    return fingerprint(path)


def layers(**settings):
    """A description of a model with one layer of each kind, nested."""
    made = {
        "Activation": {"activation": "swish"},
        "BatchNormalization": {"epsilon": 1e-5},
        "Conv2D": {"activation": "linear", "padding": "same"},
        "Conv2DTranspose": {"strides": [2, 2], "padding": "same"},
        "Dense": {"activation": "linear"},
    }
    for kind, changed in settings.items():
        made[kind] |= changed
    inner = [{"class_name": kind, "config": {"name": "a", **made[kind]}} for kind in made]
    model = {"class_name": "Functional", "config": {"name": "model", "layers": inner}}
    return json.dumps({"class_name": "Functional", "config": {"layers": [model]}})


def keras_archive(path, *, compression=zipfile.ZIP_STORED, **settings):
    stream = io.BytesIO()
    write_keras3(stream, MODELS)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.8.0"}')
        archive.writestr("config.json", layers(**settings))
        archive.writestr("model.weights.h5", stream.getvalue())


@pytest.mark.parametrize(
    ("write", "layout"),
    [
        (lambda path: write_whole(path, MODELS, config=layers()), "Keras HDF5 model"),
        (lambda path: write_whole(path, LATER, end=""), "Keras HDF5 model"),
        (lambda path: write_keras3(path, MODELS), "Keras 3 weights"),
        (
            lambda path: write_keras3(path, LATER, group="_layer_checkpoint_dependencies"),
            "Keras 3 weights",
        ),
        (keras_archive, "Keras 3 model"),
    ],
    ids=["whole", "whole of Keras 3", "weights of Keras 3", "weights of late Keras 2", "archive"],
)
def test_every_form_in_hdf5_gives_the_model_of_the_weights(tmp_path, expected, write, layout):
    path = tmp_path / "file"
    write(path)
    model, record = import_checkpoint(path)
    assert model.fingerprint == expected
    assert record["imported"]["format"] == layout


def variables(models=MODELS):
    """The arrays of a checkpoint by key, and the names that the program gave them."""
    arrays, names = {}, {}
    for model, contents in enumerate(models.values()):
        own = list(contents)
        for layer, (_, parts) in enumerate(layers_of(contents)):
            for array, values in parts.items():
                key = f"layer_with_weights-{model}/layer_with_weights-{layer}/{array}"
                arrays[f"{key}{SUFFIX}"] = values
                names[key] = own[len([name for name in names if name.startswith(key[:21])])][:-2]
    beside = {f"optimizer/_iterations{SUFFIX}": np.int64(7)}
    return {**arrays, **beside}, names


def tree_of(names):
    tree = {}
    for way in names:
        *path, last = way.split("/")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = way
    return tree


@pytest.mark.parametrize("models", [MODELS, LATER], ids=["first", "later"])
@pytest.mark.parametrize("graph", [True, False], ids=["named", "unnamed"])
def test_a_checkpoint_of_tensorflow_gives_the_model_of_the_weights(
    tmp_path, expected, models, graph
):
    arrays, names = variables(models)
    described = object_graph(tree_of(names), names, {way: f"{way}{SUFFIX}" for way in names})
    write_bundle(tmp_path / "ckpt-40", arrays, graph=described if graph else b"")
    found = {
        fingerprint(tmp_path / name)
        for name in ("ckpt-40", "ckpt-40.index", "ckpt-40.data-00000-of-00001")
    }
    assert found == {expected}
    shown = inspect_checkpoint(tmp_path / "ckpt-40").describe()
    assert shown["format"] == "TensorFlow checkpoint of a Keras model"
    assert [network["kind"] for network in shown["networks"]] == [
        "Split-VAE encoder",
        "Split-VAE latent",
        "Split-VAE decoder",
    ]


@pytest.mark.parametrize("reference", ["saved", "saved/saved_model.pb"])
def test_a_saved_model_is_read_by_the_ways_through_its_layers(tmp_path, expected, reference):
    arrays, names = variables()
    # A SavedModel's keys are the numbers of a list of all variables.
    keys = {way: f"variables/{place}{SUFFIX}" for place, way in enumerate(names)}
    described = object_graph({"keras_api": {}, "model": tree_of(names)}, names, keys)
    folder = tmp_path / "saved" / "variables"
    folder.mkdir(parents=True)
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    renamed = {keys[way]: arrays[f"{way}{SUFFIX}"] for way in names}
    write_bundle(folder / "variables", renamed, graph=described)
    assert fingerprint(tmp_path / reference) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"BatchNormalization": {"epsilon": 0.001}},
            "its layer a was made with epsilon=0.001: a published Split-VAE has 1e-05",
        ),
        ({"Activation": {"activation": "relu"}}, "activation='relu': a published .* 'swish'"),
        ({"Conv2D": {"padding": "valid"}}, "padding='valid': a published Split-VAE has 'same'"),
        ({"Conv2DTranspose": {"strides": [1, 1]}}, r"strides=\[1, 1\]: .* has \[2, 2\]"),
    ],
)
def test_a_whole_model_whose_layers_compute_something_else_is_refused(tmp_path, settings, message):
    write_whole(tmp_path / "whole.h5", MODELS, config=layers(**settings))
    keras_archive(tmp_path / "whole.keras", **settings)
    for name in ("whole.h5", "whole.keras"):
        with pytest.raises(CheckpointError, match=message):
            import_checkpoint(tmp_path / name)


def test_what_the_file_says_of_its_layers_needs_no_note(tmp_path):
    write_whole(tmp_path / "whole.h5", MODELS, config=layers())
    write_whole(tmp_path / "bare.h5", MODELS)
    assert import_checkpoint(tmp_path / "whole.h5")[1]["imported"]["notes"] == []
    assert len(import_checkpoint(tmp_path / "bare.h5")[1]["imported"]["notes"]) == 1


@pytest.mark.parametrize("config", ["{", "[" * 100_000])
def test_a_damaged_description_is_refused(tmp_path, config):
    write_whole(tmp_path / "whole.h5", MODELS, config=config)
    with pytest.raises(CheckpointError, match="the description of the model in the file is dam"):
        import_checkpoint(tmp_path / "whole.h5")


def test_a_description_that_is_no_text_is_not_read(tmp_path, expected):
    path = tmp_path / "whole.h5"
    write_whole(path, MODELS)
    with h5py.File(path, "a") as file:
        file.attrs.create("model_config", [1.5, 2.5])
    assert fingerprint(path) == expected


def test_links_out_of_a_whole_model_are_refused(tmp_path):
    write_weights(tmp_path / "other.h5", MODELS)
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
    with pytest.raises(CheckpointError, match="neither a whole Keras model nor Keras weights"):
        import_checkpoint(tmp_path / "whole.h5")
    write_whole(tmp_path / "whole.h5", MODELS)
    with h5py.File(tmp_path / "whole.h5", "a") as file:
        del file["model_weights/model"]
        file["model_weights/model"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/model")
    with pytest.raises(CheckpointError, match="'model' is an external link"):
        import_checkpoint(tmp_path / "whole.h5")


def test_archives_that_are_compressed_damaged_or_without_weights_are_refused(tmp_path):
    path = tmp_path / "model.keras"
    keras_archive(path, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="is compressed or encrypted, which neither torch"):
        inspect_checkpoint(path)
    keras_archive(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="zip archive that is cut off"):
        inspect_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(CheckpointError, match="neither a whole Keras model nor Keras weights"):
        inspect_checkpoint(path)


@pytest.mark.skipif(not CASES.is_dir(), reason="the published files are not here")
def test_published_files_give_one_model(tmp_path):
    keras3, whole = CASES / "svae-keras3.weights.h5", CASES / "svae-whole-model.h5"
    with h5py.File(whole) as file, h5py.File(tmp_path / "weights.h5", "w") as weights:
        weights.attrs["layer_names"] = file["model_weights"].attrs["layer_names"]
        for name in file["model_weights"]:
            file.copy(file[f"model_weights/{name}"], weights, name)
    found = {fingerprint(path) for path in (keras3, whole, tmp_path / "weights.h5")}
    assert len(found) == 1
    model, record = import_checkpoint(CASES / "tfckpt-mnist")
    assert (model.image_shape, model.latent_dim) == ((1, 32, 32), 32)
    assert record["imported"]["file"] == "tfckpt-mnist"
