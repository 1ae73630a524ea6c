"""Vision encoders of transformers: small random ones, saved and read from folders, offline."""

import json
import shutil

import pytest
import torch

from latentmap.encoders import load
from latentmap.errors import ModelError
from latentmap.model.testing import check_model

transformers = pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 8,
    "patch_size": 4,
}
DINO = {key: value for key, value in SMALL.items() if key != "intermediate_size"}
CONVOLUTIONS = {"hidden_sizes": [4, 8], "depths": [1, 1]}
TEXT = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "vocab_size": 20,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Name of the class -> what its configuration takes.
KINDS = {
    "CLIPModel": {"vision_config": SMALL, "text_config": TEXT},
    "CLIPVisionModel": SMALL,
    "ConvNextModel": {**CONVOLUTIONS, "num_stages": 2},
    "DeiTModel": SMALL,
    "Dinov2Model": DINO,
    "Dinov2WithRegistersModel": DINO,
    "ResNetModel": {**CONVOLUTIONS, "embedding_size": 4},
    "SiglipModel": {"vision_config": SMALL, "text_config": TEXT},
    "ViTForImageClassification": SMALL,
    "ViTModel": SMALL,
}
CONFIGS = {"ViTForImageClassification": "ViTConfig"}
# What has no such features, or no weights for them.
WITHOUT = {
    ("ConvNextModel", "cls"),
    ("ResNetModel", "cls"),
    ("SiglipModel", "cls"),
    ("ViTForImageClassification", "pooled"),
}
PREPROCESSOR = {
    "do_center_crop": True,
    "crop_size": {"height": 8, "width": 8},
    "size": {"shortest_edge": 10},
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.25, 0.5],
    "rescale_factor": 1 / 255,
    "resample": 3,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder with a small random encoder of each kind."""
    root = tmp_path_factory.mktemp("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for kind, config in KINDS.items():
            name = CONFIGS.get(kind, kind.replace("Model", "Config"))
            network = getattr(transformers, kind)(getattr(transformers, name)(**config))
            network.save_pretrained(root / kind)
            (root / kind / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return root


@pytest.fixture
def copied(folders, tmp_path):
    """A copy of a ViT that a test may spoil."""
    return shutil.copytree(folders / "ViTModel", tmp_path / "vit")


@pytest.mark.parametrize("features", ["pooled", "cls", "patches"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_keeps_the_contract(folders, kind, features):
    reference = f"transformers:{folders / kind}?features={features}"
    if (kind, features) in WITHOUT:
        with pytest.raises(ModelError, match=r"take \?features=|take other features"):
            load(reference)
        return
    model = load(reference)
    check_model(model)
    assert not model.can_decode
    assert model.image_shape == (3, 8, 8)
    places = 1 if kind in ("ConvNextModel", "ResNetModel") else 2
    assert model.latent_shape == ((8, places, places) if features == "patches" else (8,))
    assert load(reference).space.same_as(model.space)


def test_features_are_those_of_the_library(folders):
    network = transformers.ViTModel.from_pretrained(folders / "ViTModel").eval()
    images = torch.rand(2, 3, 8, 8)
    mean, std = (
        torch.tensor(PREPROCESSOR[key]).view(1, 3, 1, 1) for key in ("image_mean", "image_std")
    )
    with torch.no_grad():
        found = network(pixel_values=(images - mean) / std)
    expected = {
        "pooled": found.pooler_output,
        "cls": found.last_hidden_state[:, 0],
        # The second patch stands to the right of the first.
        "patches": found.last_hidden_state[:, 1:].transpose(1, 2).reshape(2, 8, 2, 2),
    }
    for features, codes in expected.items():
        model = load(f"transformers:{folders / 'ViTModel'}?features={features}")
        assert torch.allclose(model.encode(images), codes.flatten(1), atol=1e-5)


def test_registers_are_no_patches(folders):
    kind = "Dinov2WithRegistersModel"
    network = transformers.Dinov2WithRegistersModel.from_pretrained(folders / kind).eval()
    images = torch.full((1, 3, 8, 8), 0.5)
    model = load(f"transformers:{folders / kind}?features=patches&mean=0.5&std=0.5")
    with torch.no_grad():
        last = network(pixel_values=torch.zeros(1, 3, 8, 8)).last_hidden_state
    assert torch.allclose(model.encode(images), last[:, -4:].transpose(1, 2).flatten(1), atol=1e-5)


def test_some_encoders_take_images_of_any_size(folders):
    model = load(f"transformers:{folders / 'Dinov2Model'}?features=patches&size=16x12")
    assert model.latent_shape == (8, 4, 3)
    check_model(model)
    with pytest.raises(ModelError, match="takes images of 8x8 pixels alone"):
        load(f"transformers:{folders / 'ViTModel'}?size=16x16")
    # A size for all models is for those alone that take any.
    assert load(f"transformers:{folders / 'ViTModel'}", size=(16, 16)).image_shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("found", "frame", "shape"),
    [
        ({}, "center", (3, 8, 8)),
        ({"do_center_crop": False, "size": {"height": 8, "width": 8}}, "full", (3, 8, 8)),
        ({"do_center_crop": False, "size": 8}, "full", (3, 8, 8)),
        ({"crop_size": 8, "resample": 2}, "center", (3, 8, 8)),
        ({"do_center_crop": False, "size": None}, "full", (3, 8, 8)),
    ],
)
def test_what_an_encoder_sees_is_in_the_preprocessor(copied, found, frame, shape):
    path = copied / "preprocessor_config.json"
    path.write_text(json.dumps({**PREPROCESSOR, **found}))
    model = load(f"transformers:{copied}")
    assert (model.frame.name, model.image_shape) == (frame, shape)
    bilinear = found.get("resample") == 2
    assert model.frame.resize == ("torch-bilinear" if bilinear else "torch-bicubic")


@pytest.mark.parametrize("resample", [0, 5, 99, "bicubic", True, 3.0])
def test_a_filter_that_is_not_here_is_no_other(copied, resample):
    path = copied / "preprocessor_config.json"
    path.write_text(json.dumps({**PREPROCESSOR, "resample": resample}))
    with pytest.raises(ModelError, match=r"resizes images by the filter .* and known are 1, 2, 3"):
        load(f"transformers:{copied}")


def test_pixels_that_are_not_normalised_are_left_or_rescaled(copied):
    path = copied / "preprocessor_config.json"
    path.write_text(
        json.dumps({**PREPROCESSOR, "do_normalize": False, "rescale_factor": 1 / 127.5})
    )
    pixels = load(f"transformers:{copied}").config["pixels"]
    assert pixels == {"mean": [0.0], "std": [pytest.approx(0.5)]}


def test_a_description_may_have_many_words(copied):
    known = load(f"transformers:{copied}").fingerprint
    labels = {str(number): "label" for number in range(2000)}
    change("config.json", id2label=labels)(copied)
    assert load(f"transformers:{copied}").fingerprint == known


def change(name, **changes):
    def changed(folder):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return changed


def spoil_weights(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights.pop("embeddings.cls_token")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_weights, "lacks 1 of the weights, such as embeddings.cls_token"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "but pytorch_model.bin, which may hold code",
        ),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "not as it should be"),
        (lambda folder: (folder / "config.json").unlink(), r"has no config\.json"),
        (
            lambda folder: (folder / "preprocessor_config.json").unlink(),
            r"has no preprocessor_config.json, which says how images are normalised",
        ),
        (change("config.json", model_type="llama"), "'llama': known are the vision encoders clip"),
        (change("config.json", model_type=5), "of the type 5"),
        (change("config.json", auto_map={"AutoModel": "x.Y"}), "asks for auto_map"),
        (change("config.json", vision_config={"auto_map": {}}), "asks for auto_map"),
        (change("config.json", transformers_weights="x.bin"), "asks for transformers_weights"),
        (
            lambda folder: (folder / "adapter_config.json").write_text("{}"),
            r"asks for adapter_config\.json",
        ),
        (change("config.json", intermediate_size=10**9), r"it describes [\d,]+ numbers, more"),
        (change("config.json", num_hidden_layers=10**6), "it describes more parameters than"),
        (change("config.json", hidden_size="many"), "is not as transformers wants it"),
        (change("config.json", hidden_size=16), "the weights have other shapes than config.json"),
        (change("preprocessor_config.json", image_std=[0, 1, 1]), "image_std in .* above 0"),
        (
            change("preprocessor_config.json", image_mean=None),
            "does not say the mean and the deviation of pixels",
        ),
        (change("preprocessor_config.json", rescale_factor=0), "rescale_factor in .* above 0"),
        (change("preprocessor_config.json", image_mean=10**400), "image_mean in .* must be"),
        (change("preprocessor_config.json", image_mean="x"), "image_mean in .* must be numbers"),
        (change("preprocessor_config.json", image_mean=[0.5, 0.5]), "have 3 channels, but 2 means"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_refused_in_one_line(copied, spoil, message):
    spoil(copied)
    with pytest.raises(ModelError, match=message) as caught:
        load(f"transformers:{copied}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("features=all", "there are no features 'all': choose one of pooled, cls, patches"),
        ("mean=0.5", "mean and std belong together: give both"),
        ("depth=3", "there is no option 'depth' here: known are features, mean, std"),
    ],
)
def test_an_option_that_is_none_is_refused(copied, options, message):
    with pytest.raises(ModelError, match=message):
        load(f"transformers:{copied}?{options}")


def test_nothing_is_said_on_stderr(copied, capfd):
    load(f"transformers:{copied}")
    assert capfd.readouterr() == ("", "")
