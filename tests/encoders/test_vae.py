import importlib
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from latentmap.encoders import FAMILIES, build, load
from latentmap.encoders.listing import list_models
from latentmap.encoders.native import add_box, read_header, save_model
from latentmap.errors import ModelError, OutputError
from latentmap.frames import Frame
from latentmap.model import Model
from latentmap.model.digests import model_digest
from latentmap.model.testing import check_model

DENSE = {"architecture": "dense", "image_shape": [1, 28, 28], "latent_dim": 16, "widths": [64, 32]}
CONV = {"architecture": "conv", "image_shape": [3, 20, 28], "latent_dim": 5, "widths": [4, 8, 8]}
SPLIT = {"image_shape": [1, 28, 28], "latent_dim": 6, "width": 4, "embedding": 16}
CONFIGS = [("vae", DENSE), ("vae", CONV), ("split-vae", SPLIT)]


def build_seeded(family, config, **attributes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(family, config, **attributes)


@pytest.mark.parametrize(("family", "config"), CONFIGS)
def test_every_family_keeps_the_contract(family, config):
    check_model(build_seeded(family, config))


@pytest.mark.parametrize("side", [28, 32, 64, 128])
def test_a_split_vae_takes_any_power_of_two_and_pads_what_is_smaller(side):
    config = {"image_shape": [3, side, side], "latent_dim": 3, "width": 2, "embedding": 8}
    model = build_seeded("split-vae", config)
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    assert model.decode(model.encode(images)).shape == images.shape


def test_a_dense_vae_has_the_layers_that_were_asked_for():
    shapes = [tuple(p.shape) for p in build_seeded("vae", DENSE).network.encoder.parameters()]
    assert shapes == [(64, 784), (64,), (32, 64), (32,)]


def test_a_split_vae_of_64_pixels_has_four_scales_from_two_by_two():
    config = {"image_shape": [3, 64, 64], "latent_dim": 4, "width": 2, "embedding": 8}
    network = build_seeded("split-vae", config).network
    hidden = network.encoder[:-2](torch.rand(1, 3, 64, 64))
    assert hidden.shape == (1, 2 * 2**4, 2, 2)


def test_the_mask_of_a_split_vae_mixes_its_two_images():
    model = build_seeded("split-vae", SPLIT)
    codes = model.sample(2, seed=0)
    network = model.network
    output = network.decoder[-1]
    with torch.no_grad():
        output.weight.zero_()
        output.bias.copy_(torch.tensor([100.0, 0.0, 100.0]))
    torch.testing.assert_close(model.decode(codes), torch.full((2, 1, 28, 28), 0.5))
    with torch.no_grad():
        output.bias.copy_(torch.tensor([-100.0, 0.0, 100.0]))
    torch.testing.assert_close(model.decode(codes), torch.full((2, 1, 28, 28), 1.0))


def test_posterior_variances_are_the_exponentials_of_the_network():
    model = build_seeded("vae", DENSE)
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    posterior = model.posterior(images)
    mean, log_variance = model.network.encode(images)
    torch.testing.assert_close(posterior.mean, mean)
    torch.testing.assert_close(posterior.variance.log(), log_variance)


@pytest.mark.parametrize(("family", "config"), CONFIGS)
def test_a_native_file_gives_the_same_model_again(tmp_path, family, config):
    model = build_seeded(family, config, name="saved", frame=Frame("celeba", "pillow-lanczos"))
    path = tmp_path / "saved.safetensors"
    save_model(model, path, training={"seed": 3})
    loaded = load(path)
    check_model(loaded)
    assert (loaded.fingerprint, loaded.frame, loaded.name) == (
        model.fingerprint,
        model.frame,
        "saved",
    )
    codes = model.sample(3, seed=1)
    assert torch.equal(loaded.decode(codes), model.decode(codes))
    header = read_header(path)
    assert (header.family, header.training) == (family, {"seed": 3})


def save_one(path):
    model = build_seeded("vae", DENSE)
    save_model(model, path, training={})
    return model


def test_paths_are_taken_as_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = build_seeded("vae", DENSE)
    save_model(model, "model.safetensors", training={})
    add_box("model.safetensors", model, "0,0,1,1")
    assert read_header("model.safetensors").boxes == {model.fingerprint: "0,0,1,1"}
    assert load("model.safetensors").fingerprint == model.fingerprint


def test_boxes_that_are_written_at_one_time_are_all_there(tmp_path):
    path = tmp_path / "model.safetensors"
    save_one(path)
    others = [SimpleNamespace(fingerprint=str(number)) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda other: add_box(path, other, "0,0,1,1"), others))
    assert len(read_header(path).boxes) == 12
    assert [one.name for one in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_model_in_a_folder_whose_name_is_no_utf8_is_a_model(tmp_path):
    folder = tmp_path / "bad\udcff"
    save_one(tmp_path / "model.safetensors")
    folder.mkdir()
    moved = (tmp_path / "model.safetensors").rename(folder / "model\udcfe.safetensors")
    assert load(moved).fingerprint == read_header(moved).fingerprint
    assert [model.path for model in list_models(folder).models if model.path == moved]


def test_a_missing_model_file_is_one_clear_line(tmp_path):
    with pytest.raises(ModelError, match=r"there is no model file .*gone\.safetensors"):
        load(tmp_path / "gone.safetensors")


def test_a_name_that_is_nearly_that_of_a_bundled_model_brings_it_to_mind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"no model file svea: did you mean svae( or [\w-]+)*\? "):
        load("svea")


@pytest.mark.parametrize("kept", [0, 4, 100, 3000])
def test_a_cut_off_model_file_is_one_clear_line(tmp_path, kept):
    path = tmp_path / "model.safetensors"
    save_one(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match="is no readable safetensors file: it is cut off"):
        load(path)


def test_a_flipped_weight_is_noticed(tmp_path):
    path = tmp_path / "model.safetensors"
    save_one(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="not those that were saved: the file is damaged"):
        load(path)


def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="but no model of latentmap"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "map"}, "holds a map, not a model"),
        ({"format": 99}, "has format 99, newer than 3: update latentmap"),
        (
            {"family": "flow"},
            "unknown model family 'flow': this version knows gan, ",
        ),
        ({"family": ["vae"]}, "cannot be used: unknown model family .*'vae'"),
        ({"family": "split-vae"}, "this is no split-vae model: its configuration or weights"),
        ({"config": {**DENSE, "widths": [10**9]}}, "this is no vae model: its configuration or"),
        ({"frame": {}}, "does not describe its model as it should: a frame has a name"),
        ({"config": {}}, "does not describe its model as it should: 'latent_dim'"),
        ({"config": []}, "does not describe its model as it should"),
        ({"config": {"latent_dim": 3}}, "does not describe its model as it should: 'image_shape'"),
        ({"config": {**DENSE, "image_shape": [8, 8]}}, "latent_dim is one number, image_shape"),
        ({"training": "long"}, "does not describe its model as it should: the record of the tr"),
        ({"fingerprint": 7}, "the record of the training has names, the fingerprint is a text"),
        (
            {"frame": {"name": "a" * 9999, "resize": "pillow-box"}},
            r"unknown frame 'a{99,250}\.\.\.$",
        ),
        ({"frame": {"name": 3, "resize": "pillow-box"}}, "both of them texts"),
        ({"config": {**DENSE, "image_shape": [1, "8", 8]}}, "latent_dim is one number, image_sh"),
        ({"config": {**DENSE, "space": [1]}}, "the space of the codes is a text"),
        ({"kind": [1]}, "but no model of latentmap"),
        ({"config": {**CONV, "widths": []}}, "this is no vae model: its configuration or"),
        ({"config": {**DENSE, "architecture": "x"}}, "this is no vae model: its configuration or"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_before_anything_is_allocated(
    tmp_path, change, message
):
    path = tmp_path / "model.safetensors"
    save_one(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["latentmap"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    save_file(tensors, path, metadata={"latentmap": json.dumps({**header, **change})})
    with pytest.raises(ModelError, match=message):
        load(path)


class Foreign(Model):
    """A model of somebody's own, in no table."""

    family = "mine"

    def __init__(self, config):
        sizes = {"latent_dim": 2, "image_shape": (1, 8, 8)}
        super().__init__(nn.Linear(2, 2), name="mine", config=config, **sizes)

    def _decode(self, codes):
        return codes.new_zeros(len(codes), 1, 8, 8)


class Namesake(Foreign):
    family = "vae"


class Own(Foreign):
    """As the table of families asks for it; ``shift`` is in neither configuration nor weights."""

    def __init__(self, config, *, shift=0.0, name=None, frame=None, weights=None):
        super().__init__(config)
        self.network.load_state_dict(weights or {"weight": torch.eye(2), "bias": torch.zeros(2)})
        self.fingerprint = model_digest(self.family, config, self.frame, self.network)
        self.fingerprint += str(shift)


SIZES = {"latent_dim": 2, "image_shape": [1, 8, 8]}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Foreign(SIZES), "unknown model family 'mine': this version knows gan, "),
        (Namesake(SIZES), "this is no vae model: its configuration or weights do not fit"),
    ],
)
def test_a_model_that_nothing_could_read_again_is_not_written(tmp_path, model, message):
    path = tmp_path / "mine.safetensors"
    with pytest.raises(ModelError, match=f"is not written, for .*: {message}.*FAMILIES"):
        save_model(model, path, training={})
    assert not any(tmp_path.iterdir())


def test_a_family_of_ones_own_is_written_once_it_is_in_the_table(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "mine", f"{__name__}:Own")
    path = tmp_path / "mine.safetensors"
    save_model(Own(SIZES), path, training={})
    assert load(path).fingerprint == Own(SIZES).fingerprint
    with pytest.raises(ModelError, match="nothing could read it again: its configuration has no"):
        save_model(Own({"latent_dim": 2}), path, training={})
    with pytest.raises(ModelError, match="makes another model of this one's configuration"):
        save_model(Own(SIZES, shift=1.0), path, training={})


def test_the_table_of_families_names_classes_that_say_the_same():
    for family, target in FAMILIES.items():
        module, _, name = target.partition(":")
        assert getattr(importlib.import_module(module), name).family == family


def test_a_model_file_has_the_permissions_of_any_new_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_one(path)
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_full_disk_is_one_clear_line_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"precious")

    def full(*_):
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OutputError, match=r"could not be written: .*No space left on device"):
        save_one(path)
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]
